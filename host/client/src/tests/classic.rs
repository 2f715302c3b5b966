//! The classic dialect, against peers that behave as old services do.

use sandport_protocol::RefusalCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;

use super::*;

fn classic() -> Options {
    Options { classic: true, ..Options::default() }
}

/// Reads the size and answers `answer`; then everything, until the sender shuts its side down. It
/// never closes first, as long as it is `held`.
async fn old_service(mut stream: TcpStream, answer: &[u8]) -> (TcpStream, Vec<u8>, Vec<u8>) {
    let mut size = vec![0; 64];
    let count = stream.read(&mut size).await.unwrap();
    size.truncate(count);
    stream.write_all(answer).await.unwrap();
    let mut content = Vec::new();
    if answer == b"ack" {
        stream.read_to_end(&mut content).await.unwrap();
    }
    (stream, size, content)
}

async fn listen() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, Address::Tcp { host: "127.0.0.1".to_owned(), port })
}

#[tokio::test]
async fn each_file_gets_a_connection_and_nobody_waits_for_its_end() {
    let (listener, to) = listen().await;
    let (received, mut arrivals) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        // Streams are kept, so none is ever closed from this side.
        let mut held = Vec::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (stream, size, content) = old_service(stream, b"ack").await;
            held.push(stream);
            received.send((size, content)).unwrap();
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let large = content((5 << 20) + 1, 1);
    let sources = vec![
        Source::path(write(directory.path(), "large", &large)),
        Source::path(write(directory.path(), "empty", b"")),
        Source::reader("-", std::io::Cursor::new(b"piped".to_vec())).named("piped"),
    ];
    let (result, told) = send_and_listen(&to, sources, classic()).await;
    assert_eq!(result.unwrap().sent, 3);
    assert_eq!(told.0, ["sent large 5242881", "sent empty 0", "sent piped 5"]);
    for expected in [large, Vec::new(), b"piped".to_vec()] {
        let (size, content) = within("a file arrives", arrivals.recv()).await.unwrap();
        assert_eq!(size, expected.len().to_string().into_bytes());
        assert!(content == expected);
    }
}

#[tokio::test]
async fn a_close_without_an_answer_is_a_refusal() {
    let (listener, to) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            drop(old_service(stream, b"").await);
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let sources = vec![
        Source::path(write(directory.path(), "a", b"a")),
        Source::path(write(directory.path(), "b", b"b")),
    ];
    let (result, told) = send_and_listen(&to, sources, classic()).await;
    assert_eq!(result.unwrap().refused, 2);
    assert_eq!(told.0, ["refused a other", "refused b other"]);
    assert_eq!(RefusalCode::Other.as_str(), "other");
}

#[tokio::test]
async fn another_answer_is_another_protocol() {
    let (listener, to) = listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        old_service(stream, b"no, thank you").await
    });
    let directory = tempfile::tempdir().unwrap();
    let sources = vec![Source::path(write(directory.path(), "a", b"a"))];
    let (result, _) = send_and_listen(&to, sources, classic()).await;
    assert!(matches!(result, Err(SendError::NotClassic)), "{result:?}");
}

#[tokio::test]
async fn a_tree_cannot_be_sent_and_nothing_is() {
    let directory = tempfile::tempdir().unwrap();
    let (_listener, to) = listen().await;
    let (result, told) =
        send_and_listen(&to, vec![Source::path(directory.path())], classic()).await;
    assert_eq!(result.unwrap_err().kind(), SendErrorKind::Usage);
    assert!(told.0.is_empty());
}

#[tokio::test]
async fn a_local_socket_works_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut size = [0; 1];
        stream.read_exact(&mut size).await.unwrap();
        stream.write_all(b"ack").await.unwrap();
        let mut content = Vec::new();
        stream.read_to_end(&mut content).await.unwrap();
        content
    });
    let sources = vec![Source::path(write(directory.path(), "a", b"hello"))];
    let (result, _) = send_and_listen(&Address::Unix(socket), sources, classic()).await;
    assert!(result.unwrap().is_complete());
    assert_eq!(within("the service has all", served).await.unwrap(), b"hello");
}
