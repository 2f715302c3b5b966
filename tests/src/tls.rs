//! Certificates for tests, and a client of TLS that says what a test tells it to.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use tempfile::TempDir;

use crate::connection::connect;

/// An authority, with a directory for what it issues.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

/// A certificate and its key, in files.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate in PEM.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Issued {
    /// The flags by which a server shows it.
    pub fn flags(&self) -> [&str; 4] {
        let [certificate, key] =
            [&self.certificate, &self.key].map(|it| it.to_str().expect("a path of a test is text"));
        ["--tls-cert", certificate, "--tls-key", key]
    }
}

impl Authority {
    /// One that nobody else knows.
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Another name for each: clients look for who has signed by the name.
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("authority {} of tests", MADE.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).expect("a file");
        Self { issuer, directory }
    }

    /// The file with its certificate.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A certificate for this machine, in files that begin so. `change` may spoil it.
    pub fn issue(&self, file: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let names = vec![String::from("localhost"), String::from("127.0.0.1")];
        let mut params = CertificateParams::new(names).expect("names of this machine");
        change(&mut params);
        let certificate = params.signed_by(&key, &*self.issuer).expect("a certificate");
        let issued = Issued {
            certificate: self.directory.path().join(format!("{file}.pem")),
            key: self.directory.path().join(format!("{file}.key")),
        };
        std::fs::write(&issued.key, key.serialize_pem()).expect("a file");
        std::fs::write(&issued.certificate, certificate.pem()).expect("a file");
        issued
    }

    /// How a client speaks TLS that believes it alone.
    pub fn config(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(self.file()).expect("the authority's file");
        roots.add(certificate).expect("the authority's certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions that the provider has")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// An encrypted connection to a server on this machine.
#[derive(Debug)]
pub struct Tls(StreamOwned<ClientConnection, TcpStream>);

impl Tls {
    /// Connects, with a handshake.
    ///
    /// # Errors
    /// The handshake fails.
    pub fn open(address: &str, config: ClientConfig) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a configuration");
        let socket = TcpStream::from(connect(address)?);
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self(stream))
    }

    /// What the handshake came to.
    pub fn session(&self) -> &ClientConnection {
        &self.0.conn
    }

    /// The connection below the encryption.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.0.sock
    }

    /// Sends bytes.
    #[track_caller]
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("the server reads");
        self.0.flush().expect("the server reads");
    }

    /// Reads that many bytes.
    #[track_caller]
    pub fn hear(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("the server answers");
        bytes
    }

    /// Reads to the end; an error is an end that nobody has said.
    ///
    /// # Errors
    /// The server has cut the connection.
    pub fn hear_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).map(|_| bytes)
    }

    /// Says that nothing more is sent.
    #[track_caller]
    pub fn finish(&mut self) {
        self.0.conn.send_close_notify();
        self.0.flush().expect("the server reads");
    }

    /// Ends the connection below, without a word of that.
    pub fn cut(self) {
        // What was written is on its way.
        let _ = self.0.sock.shutdown(std::net::Shutdown::Write);
    }
}

/// The bytes of a ClientHello, as a client sends them first.
pub fn client_hello(config: ClientConfig) -> Vec<u8> {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("a configuration");
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes).expect("memory");
    }
    bytes
}
