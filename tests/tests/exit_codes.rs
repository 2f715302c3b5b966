//! What `sandport send` says and exits with when not all is well.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

use sandport_tests::connection::connect;
use sandport_tests::files::Tree;
use sandport_tests::send::command;
use sandport_tests::{Server, peer, process, send};

/// A directory with a file of 100,000 letters; its path.
fn something_to_send() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "A".repeat(100_000)).unwrap();
    (directory, path)
}

/// The address of a service that does `serve` with each connection.
fn service(serve: impl FnMut(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    peer::serve(listener, serve);
    address
}

/// The code of the error that ended a run.
fn error_code(sent: &sandport_tests::Sent) -> String {
    sent.of_type("error").first().map_or_else(String::new, |event| event["code"].to_string())
}

#[test]
fn some_files_that_failed_are_1() {
    let (directory, path) = something_to_send();
    let missing = directory.path().join("missing");
    let server = Server::start([]);
    let sent = send([path.as_os_str(), missing.as_os_str(), server.address().as_ref()]);
    assert_eq!((sent.code, sent.failure()), (Some(1), "not-found"), "{sent:?}");
    assert_eq!(sent.names("stored"), ["file"], "the other file arrived");
    assert_eq!(sent.events.last().unwrap()["exit_code"], 1);
}

#[test]
fn a_command_line_that_makes_no_sense_is_2() {
    for arguments in [
        &["send"][..],
        &["send", "file"],
        &["send", "file", ":6542"],
        &["send", "file", "https://me@host"],
        &["send", "file", "sandport://host#abc"],
        &["send", "file", "http://host", "--tls"],
        &["serve", "--tls-cert", "file"],
        &["send", "a", "b", "127.0.0.1:1", "--name", "c"],
        &["send", "-", "-", "127.0.0.1:1"],
        &["serve", "--listen", "nonsense::"],
        &["serve", "--conflict", "ignore"],
        &["serve", "--max-file", "big"],
        &["serve", "--unknown"],
        &["unknown"],
    ] {
        let ended = process::run(command().args(arguments), b"");
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error"), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn a_wrong_destination_has_a_hint_that_fits() {
    let (directory, _path) = something_to_send();
    for (arguments, said) in [
        (["127.0.0.1:1", "file"], "sandport send file 127.0.0.1:1"),
        (["missing", "./file"], "the server comes last"),
        (["file", "me@host:/srv/in"], "names a user or a directory of the server"),
        (["file", "host:/srv/in"], "--name says what the file is called there"),
    ] {
        let mut command = command();
        let ended = process::run(command.current_dir(&directory).arg("send").args(arguments), b"");
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(said), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let (directory, _path) = something_to_send();
    let server = Server::start([]);
    let named = |subcommand: &str| -> Vec<String> {
        let help = process::run(command().args([subcommand, "--help"]), b"").stdout;
        let after = help.split("[env: ").skip(1);
        after.filter_map(|text| Some(text.split_once('=')?.0.to_owned())).collect()
    };
    let of_send = named("send");
    assert!(of_send.iter().any(|name| name == "SANDPORT_EXCLUDE"), "{of_send:?}");
    let mut sending = command();
    sending.current_dir(&directory).args(["send", "file", server.address()]);
    let ended = process::run(sending.envs(of_send.iter().map(|name| (name, ""))), b"");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "file\n"), "{ended:?}");

    let of_serve = named("serve");
    assert!(of_serve.iter().any(|name| name == "SANDPORT_LISTEN"), "{of_serve:?}");
    let mut serving = command();
    // It ends at once, and not before it has read its settings: the directory above the inbox is missing.
    serving.current_dir(&directory).args(["serve", "missing/inbox"]);
    let ended = process::run(serving.envs(of_serve.iter().map(|name| (name, ""))), b"");
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(ended.stderr.contains("error[inbox-parent-missing]"), "{ended:?}");
}

#[test]
fn a_state_directory_that_cannot_be_made_is_said_once() {
    let (directory, path) = something_to_send();
    let large = directory.path().join("large");
    for path in [&path, &large] {
        // Large enough to be resumed.
        fs::write(path, vec![b'A'; 2 << 20]).unwrap();
    }
    let server = Server::start([]);
    let mut sending = command();
    sending.current_dir(&directory).args(["send", "file", "large", server.address()]);
    let ended = process::run(sending.args(["--state-dir", "/proc/nothing-is-made-here"]), b"");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "file\nlarge\n"), "{ended:?}");
    let warnings = ended.stderr.lines().filter(|line| line.contains(" WARN ")).count();
    assert_eq!(warnings, 1, "{ended:?}");
}

#[test]
fn a_tree_in_the_classic_dialect_makes_no_sense() {
    let directory = tempfile::tempdir().unwrap();
    let sent = send([directory.path().as_os_str(), "127.0.0.1:1".as_ref(), "--classic".as_ref()]);
    assert_eq!(sent.code, Some(2), "{sent:?}");
}

#[test]
fn a_server_that_is_not_there_is_3() {
    let (_directory, path) = something_to_send();
    let nobody = peer::Nobody::new();
    for dialect in [&[][..], &["--classic"]] {
        let arguments = [path.to_str().unwrap(), &nobody.address()];
        let sent = send(arguments.iter().chain(dialect));
        assert_eq!(sent.code, Some(3), "{sent:?}");
        assert_eq!(error_code(&sent), "\"unreachable\"");
        assert!(sent.stderr.contains("hint: is the server running?"), "{sent:?}");
    }
}

#[test]
fn a_server_that_says_nothing_is_3() {
    let (_directory, path) = something_to_send();
    // The kernel accepts, and nobody reads.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for dialect in [&[][..], &["--classic"]] {
        let arguments = [path.to_str().unwrap(), &address, "--stall-timeout", "300ms"];
        let sent = send(arguments.iter().chain(dialect));
        assert_eq!((sent.code, error_code(&sent).as_str()), (Some(3), "\"stalled\""), "{sent:?}");
        assert!(sent.stderr.contains("has stalled"), "{sent:?}");
    }
}

#[test]
fn a_connection_that_is_cut_is_3() {
    let (_directory, path) = something_to_send();
    let address = service(|mut stream| {
        let _ = stream.read(&mut [0; 1]);
    });
    let sent = send([path.as_os_str(), address.as_ref()]);
    assert_eq!((sent.code, error_code(&sent).as_str()), (Some(3), "\"cut\""), "{sent:?}");
    assert!(sent.stderr.contains("run the same command again"), "{sent:?}");
}

#[test]
fn what_the_server_does_not_take_is_4() {
    let (_directory, path) = something_to_send();
    let mut server = Server::start(["--max-file", "1000B"]);
    let sent = send([path.as_os_str(), server.address().as_ref()]);
    assert_eq!((sent.code, sent.failure()), (Some(4), "too-large"), "{sent:?}");

    fs::write(&path, "hello").unwrap();
    let sent =
        send([path.as_os_str(), server.address().as_ref(), "--name".as_ref(), "../x".as_ref()]);
    assert_eq!((sent.code, sent.failure()), (Some(4), "name-invalid"), "{sent:?}");
    assert!(sent.stderr.contains("hint: "), "{sent:?}");
    server.wait_refused("name-invalid");
    server.stop_and_expect_nothing();
}

#[test]
fn a_service_that_speaks_something_else_is_4() {
    let (_directory, path) = something_to_send();
    let address = service(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 1024]);
    });
    let sent = send([path.as_os_str(), address.as_ref()]);
    assert_eq!((sent.code, error_code(&sent).as_str()), (Some(4), "\"not-sandport\""), "{sent:?}");
}

#[test]
fn damage_on_the_way_is_5_and_publishes_nothing() {
    let (_directory, path) = something_to_send();
    let mut server = Server::start([]);
    // A network that damages one letter of the content on its way to the server.
    let to = server.address().to_owned();
    let network = service(move |mut from_sender| {
        let mut to_server = TcpStream::from(connect(&to).unwrap());
        let (mut from_server, mut to_sender) =
            (to_server.try_clone().unwrap(), from_sender.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from_server, &mut to_sender));
        let mut damaged = false;
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from_sender.read(&mut buffer) {
            let bytes = &mut buffer[..count];
            if let Some(at) =
                bytes.windows(100).position(|window| window.iter().all(|&byte| byte == b'A'))
                && !damaged
            {
                bytes[at] = b'B';
                damaged = true;
            }
            if to_server.write_all(bytes).is_err() {
                return;
            }
        }
        let _ = to_server.shutdown(std::net::Shutdown::Write);
    });
    let sent = send([path.as_os_str(), network.as_ref()]);
    assert_eq!((sent.code, sent.failure()), (Some(5), "digest-mismatch"), "{sent:?}");
    server.wait_refused("digest-mismatch");
    server.stop_and_expect_nothing();
}

#[test]
fn a_file_that_cannot_be_read_is_7() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start([]);
    for (path, code) in [
        (directory.path().join("missing"), "not-found"),
        (PathBuf::from("/dev/null"), "special-file"),
    ] {
        let sent = send([path.as_os_str(), server.address().as_ref()]);
        assert_eq!((sent.code, sent.failure()), (Some(7), code), "{sent:?}");
    }
    assert_eq!(server.published(), Tree::default());
}

#[test]
fn ctrl_c_is_130() {
    let (directory, path) = something_to_send();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let mut sender = command();
    sender.current_dir(directory.path()).arg("send").arg(&path).arg(&address);
    let sender = process::Running::start(&mut sender, b"");
    let _connection = peer::accept(&silent, "the sender");
    sender.interrupt();
    let ended = sender.finish();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.contains("interrupted"), "{ended:?}");
}

#[test]
fn in_words_each_error_has_its_code_and_a_hint() {
    let (directory, path) = something_to_send();
    let server = Server::start(["--max-file", "1000B"]);
    let ended = process::run(
        command().current_dir(directory.path()).arg("send").arg(&path).arg(server.address()),
        b"",
    );
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert_eq!(ended.stdout, "", "only names of stored files are a result");
    assert!(ended.stderr.contains("error[too-large]: "), "{ended:?}");
    assert!(ended.stderr.contains("hint: ask the operator to raise --max-file"), "{ended:?}");
    assert!(!ended.stderr.contains('\u{1b}'), "no colours outside a terminal: {ended:?}");
}

#[test]
fn quiet_says_nothing_when_all_is_well() {
    let (directory, path) = something_to_send();
    let server = Server::start([]);
    let ended = process::run(
        command()
            .current_dir(directory.path())
            .args(["send", "-q"])
            .arg(&path)
            .arg(server.address()),
        b"",
    );
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "file\n", ""));
}

#[test]
fn a_name_has_no_power_over_the_terminal() {
    let (directory, _) = something_to_send();
    let server = Server::start([]);
    let ended = process::run(
        command().current_dir(directory.path()).args([
            "send",
            "file",
            server.address(),
            "--name",
            "\u{1b}[2Jx",
        ]),
        b"",
    );
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(!ended.stderr.contains('\u{1b}') && !ended.stdout.contains('\u{1b}'), "{ended:?}");
}
