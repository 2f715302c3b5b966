//! Sending over HTTP, to servers that do as they should and to others.

use std::time::Duration;

use super::web::{Fate, Speaks, Web};
use super::*;

const ALL: [Speaks; 3] = [Speaks::Resumable, Speaks::Tus, Speaks::Nothing];
const RESUMABLE: [Speaks; 2] = [Speaks::Resumable, Speaks::Tus];
const MIB: usize = 1 << 20;

/// Over one connection, so that requests come in an order.
fn one() -> Options {
    Options {
        connections: Connections::Exactly(std::num::NonZeroUsize::MIN),
        stall_timeout: PATIENCE,
        ..Options::default()
    }
}

fn stored(web: &Web) -> Vec<Vec<u8>> {
    web.site().stored.values().cloned().collect()
}

#[tokio::test]
async fn files_trees_and_streams_arrive_whatever_is_spoken() {
    for speaks in ALL {
        let web = Web::start(speaks, []).await;
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "t/empty", b"");
        write(directory.path(), "t/a b/small", b"small");
        write(directory.path(), "t/large", &content(3 * MIB + 17, 1));
        std::fs::create_dir(directory.path().join("t/nothing")).unwrap();
        let stream = std::io::Cursor::new(content(MIB, 2));
        let sources =
            vec![Source::path(directory.path().join("t")), Source::reader("-", stream).named("s")];
        let (result, told) = send_and_listen(&web.to, sources, Options::default()).await;
        let summary = result.unwrap();
        assert!(summary.is_complete(), "{speaks:?}: {:?}", told.0);
        assert_eq!((summary.unverified, summary.stored, summary.skipped), (4, 0, 1), "{speaks:?}");
        assert!(told.0.contains(&"skipped nothing empty-directory".to_owned()), "{:?}", told.0);
        let mut arrived = stored(&web);
        arrived.sort_by_key(Vec::len);
        let expected = [vec![], b"small".to_vec(), content(MIB, 2), content(3 * MIB + 17, 1)];
        assert!(arrived == expected, "{speaks:?}");
        if speaks != Speaks::Tus {
            let names: Vec<String> = web.site().stored.keys().cloned().collect();
            assert_eq!(names, ["/in/s", "/in/t/a%20b/small", "/in/t/empty", "/in/t/large"]);
        }
    }
}

#[tokio::test]
async fn a_digest_of_the_server_is_compared() {
    let bytes = content(2 * MIB, 3);
    let blake3 = base64(blake3::hash(&bytes).as_bytes());
    let sha256 = base64(&<sha2::Sha256 as sha2::Digest>::digest(&bytes));
    let sha512 = base64(&<sha2::Sha512 as sha2::Digest>::digest(&bytes));
    let wrong = base64(&[7; 32]);
    for (digest, expected) in [
        (format!("blake3=:{blake3}:"), "stored f as f"),
        (format!("sha-256=:{sha256}:"), "stored f as f"),
        (format!("sha-512=:{sha512}:"), "stored f as f"),
        (format!("md5=:AAAAAAAAAAAAAAAAAAAAAA==:, sha-256=:{sha256}:"), "stored f as f"),
        (format!("sha-256=:{wrong}:"), "refused f digest-mismatch"),
        (format!("blake3=:{wrong}:"), "refused f digest-mismatch"),
    ] {
        for speaks in [Speaks::Resumable, Speaks::Nothing] {
            let web = Web::start(speaks, []).await;
            web.site().last_fields = format!("Repr-Digest: {digest}\r\n");
            let directory = tempfile::tempdir().unwrap();
            let source = Source::path(write(directory.path(), "f", &bytes));
            let (_, told) = send_and_listen(&web.to, vec![source], one()).await;
            assert_eq!(told.0, [expected], "{speaks:?} {digest}");
        }
    }
}

/// Base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let value =
            (0..3).fold(0u32, |value, at| value << 8 | u32::from(*group.get(at).unwrap_or(&0)));
        for at in 0..4 {
            let digit = DIGITS[(value >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[tokio::test]
async fn a_cut_is_gone_on_with_and_nothing_is_sent_twice() {
    for speaks in RESUMABLE {
        let fates = [Fate::Passes, Fate::Cut(MIB), Fate::Cut(MIB)];
        let web = Web::start(speaks, fates).await;
        let directory = tempfile::tempdir().unwrap();
        let bytes = content(3 * MIB, 4);
        let source = Source::path(write(directory.path(), "f", &bytes));
        let (result, told) = send_and_listen(&web.to, vec![source], one()).await;
        assert!(result.unwrap().is_complete(), "{speaks:?} {:?}", told.0);
        assert!(stored(&web) == [bytes]);
        assert_eq!(web.site().received, 3 * MIB, "{speaks:?}");
    }
}

#[tokio::test]
async fn a_later_run_goes_on_by_the_url_that_was_kept() {
    for speaks in RESUMABLE {
        let web = Web::start(speaks, [Fate::Passes, Fate::Cut(2 * MIB)]).await;
        let directory = tempfile::tempdir().unwrap();
        let bytes = content(3 * MIB, 5);
        let path = write(directory.path(), "f", &bytes);
        let state = directory.path().join("state");
        let options = Options { retries: 0, state_dir: Some(state.clone()), ..one() };
        let mut resumable = None;
        let sending = send(&web.to, vec![Source::path(&path)], options.clone(), |event| {
            if let SendEvent::Unanswered { resumable: is_resumable, .. } = event {
                resumable = Some(is_resumable);
            }
        });
        let result = within("the first run ends", sending).await;
        assert!(matches!(result, Err(SendError::Cut)), "{speaks:?} {result:?}");
        assert_eq!(resumable, Some(true), "{speaks:?}");
        let mut kept = 0;
        let sending = send(&web.to, vec![Source::path(&path)], options, |event| {
            if let SendEvent::Resumed { kept: bytes, .. } = event {
                kept = bytes;
            }
        });
        let summary = within("the second run ends", sending).await.unwrap();
        assert_eq!((summary.unverified, kept), (1, 2 * MIB as u64), "{speaks:?}");
        assert!(stored(&web) == [bytes], "{speaks:?}");
        assert_eq!(web.site().received, 3 * MIB, "{speaks:?}");
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0, "{speaks:?}: no URL is left");
    }
}

#[tokio::test]
async fn what_passes_by_itself_is_waited_for() {
    let answers = [
        "HTTP/1.1 423 Locked\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n",
    ];
    for speaks in RESUMABLE {
        for answer in answers {
            let web = Web::start(speaks, [Fate::Passes, Fate::Answered(answer)]).await;
            let directory = tempfile::tempdir().unwrap();
            let bytes = content(2 * MIB, 6);
            let source = Source::path(write(directory.path(), "f", &bytes));
            let (result, told) = send_and_listen(&web.to, vec![source], one()).await;
            assert!(result.unwrap().is_complete(), "{speaks:?} {answer} {:?}", told.0);
            assert!(stored(&web) == [bytes], "{speaks:?} {answer}");
        }
    }
}

#[tokio::test]
async fn a_server_that_forgot_an_upload_gets_it_anew() {
    for speaks in RESUMABLE {
        let web = Web::start(speaks, [Fate::Passes, Fate::Forgets]).await;
        let directory = tempfile::tempdir().unwrap();
        let bytes = content(2 * MIB, 7);
        let source = Source::path(write(directory.path(), "f", &bytes));
        let (result, _) = send_and_listen(&web.to, vec![source], one()).await;
        assert!(result.unwrap().is_complete(), "{speaks:?}");
        assert!(stored(&web) == [bytes], "{speaks:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_one_files_and_told_by_its_code() {
    let problem = "HTTP/1.1 507 Full\r\nContent-Type: application/problem+json\r\nContent-Length: 47\r\n\r\n\
                   {\"code\":\"quota-exceeded\",\"detail\":\"it is full\"}";
    let forbidden = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
    for (answer, code) in [(problem, "quota-exceeded"), (forbidden, "not-permitted")] {
        for speaks in ALL {
            let web = Web::start(speaks, [Fate::Answered(answer)]).await;
            let directory = tempfile::tempdir().unwrap();
            let sources = ["a", "b"].map(|name| Source::path(write(directory.path(), name, b"x")));
            let (result, told) = send_and_listen(&web.to, sources.into(), one()).await;
            assert_eq!(result.unwrap().unverified, 1, "{speaks:?}: the other one is stored");
            assert!(told.0.contains(&format!("refused a {code}")), "{speaks:?} {:?}", told.0);
        }
    }
}

#[tokio::test]
async fn a_refusal_comes_through_though_the_file_was_not_read() {
    let answer = "HTTP/1.1 413 Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let web = Web::start(Speaks::Nothing, [Fate::AnsweredEarly(answer)]).await;
    let directory = tempfile::tempdir().unwrap();
    // It fits what waits in the sockets: no reset can overtake the answer.
    let source = Source::path(write(directory.path(), "f", &content(1_000, 8)));
    let (_, told) = send_and_listen(&web.to, vec![source], one()).await;
    assert_eq!(told.0, ["refused f too-large"]);
}

#[tokio::test]
async fn no_file_goes_where_a_server_sends_it_on_to() {
    let elsewhere =
        "HTTP/1.1 307 There\r\nLocation: http://192.0.2.7/in/\r\nContent-Length: 0\r\n\r\n";
    let here = "HTTP/1.1 308 There\r\nLocation: /other/\r\nContent-Length: 0\r\n\r\n";
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "f", b"x");
    let web = Web::start(Speaks::Resumable, [Fate::Answered(elsewhere)]).await;
    let (_, told) = send_and_listen(&web.to, vec![Source::path(&path)], one()).await;
    assert_eq!(told.0, ["refused f other"]);
    let web = Web::start(Speaks::Resumable, [Fate::Answered(here)]).await;
    let (result, _) = send_and_listen(&web.to, vec![Source::path(&path)], one()).await;
    assert!(result.unwrap().is_complete());
    assert!(web.site().stored.contains_key("/other/"));
}

#[tokio::test]
async fn an_address_without_a_slash_is_the_name_of_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let paths = ["a", "b"].map(|name| write(directory.path(), name, b"x"));
    let web = Web::start(Speaks::Resumable, []).await;
    let to: Destination = format!("http://{}/in/name", web.authority).parse().unwrap();
    let (result, _) = send_and_listen(&to, vec![Source::path(&paths[0])], one()).await;
    assert!(result.unwrap().is_complete());
    assert!(web.site().stored.contains_key("/in/name"));
    let several = paths.iter().map(Source::path).collect();
    let named = vec![Source::path(&paths[0]).named("c")];
    let tree = vec![Source::path(directory.path())];
    for sources in [several, named, tree] {
        let (result, _) = send_and_listen(&to, sources, one()).await;
        assert!(matches!(result, Err(SendError::OneName(_))), "{result:?}");
    }
    // It is what tus calls its endpoint.
    let web = Web::start(Speaks::Tus, []).await;
    let to: Destination = format!("http://{}/files", web.authority).parse().unwrap();
    let (result, _) = send_and_listen(&to, paths.iter().map(Source::path).collect(), one()).await;
    assert_eq!(result.unwrap().unverified, 2);
}

#[tokio::test]
async fn a_file_that_changes_is_not_stored_and_not_gone_on_with() {
    let web = Web::start(Speaks::Resumable, []).await;
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "f", &content(4 * MIB, 9));
    let state = directory.path().join("state");
    let options = Options { state_dir: Some(state.clone()), ..one() };
    let mut told = Told::default();
    let sending = send(&web.to, vec![Source::path(&path)], options, |event| {
        if matches!(event, SendEvent::Started { .. }) {
            let file = std::fs::File::options().append(true).open(&path).unwrap();
            std::io::Write::write_all(&mut &file, b"more").unwrap();
        }
        told.note(&event);
    });
    within("the sender ends", sending).await.unwrap();
    assert_eq!(told.0, ["failed f changed"]);
    assert!(web.site().stored.is_empty());
    assert_eq!(std::fs::read_dir(&state).map_or(0, Iterator::count), 0, "no URL is left");
}

#[tokio::test]
async fn who_speaks_no_http_is_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to: Destination = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-x\r\n").await;
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
    });
    let directory = tempfile::tempdir().unwrap();
    let source = Source::path(write(directory.path(), "f", b"x"));
    let (result, _) = send_and_listen(&to, vec![source], one()).await;
    assert!(matches!(result, Err(SendError::NotHttp(_))), "{result:?}");
    serving.abort();
}

#[tokio::test]
async fn silence_ends_a_request() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to: Destination = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let source = Source::path(write(directory.path(), "f", b"x"));
    let options = Options { stall_timeout: Duration::from_millis(50), ..one() };
    let (result, _) = send_and_listen(&to, vec![source], options).await;
    assert!(matches!(result, Err(SendError::Stalled(50))), "{result:?}");
}

#[tokio::test]
async fn an_interrupt_is_told_and_ends_what_no_run_can_resume() {
    let web = Web::start(Speaks::Resumable, []).await;
    let (goes_on, source) = endless();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut stop = Some(stop);
    let stopped = async {
        let _ = stopped.await;
    };
    let mut told = Told::default();
    let sending = send_until(&web.to, vec![source], one(), stopped, |event| {
        if matches!(event, SendEvent::Started { .. }) {
            drop(stop.take());
        }
        told.note(&event);
    });
    let result = within("the sender ends", sending).await;
    drop(goes_on);
    assert!(matches!(result, Err(SendError::Interrupted)), "{result:?}");
    assert_eq!(told.0, ["unanswered stream"]);
}
