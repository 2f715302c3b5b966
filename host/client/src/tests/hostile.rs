//! Servers that would keep a sender for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sandport_protocol::Extent;
use sandport_protocol::wire::{Accepted, PREFACE, ReceiverMessage, Welcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// The size of the file that is sent. Bytes.
const SIZE: usize = 2 << 20;

/// The hello is shorter than this: where so much has come, the offer was made. Bytes.
const OFFERED_BYTES: usize = 32;

/// What of a file is missing from `offset` on.
fn accepted(offset: usize) -> ReceiverMessage {
    let missing = vec![Extent { offset: offset as u64, length: Some((SIZE - offset) as u64) }];
    ReceiverMessage::Accepted(Accepted { id: 0, missing })
}

async fn say(stream: &mut TcpStream, message: &ReceiverMessage) {
    // The sender may be gone, which is what is hoped for.
    let _ = stream.write_all(&message.encode_frame().unwrap()).await;
}

/// Sends a file to a server that does `serve` with each connection, by its number, after its welcome. How
/// that ended, and how many connections there were.
async fn send_to<F>(
    welcome: Welcome,
    options: Options,
    serve: impl Fn(TcpStream, usize) -> F + Send + 'static,
) -> (Result<Summary, SendError>, usize)
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            let _ = stream.write_all(&PREFACE).await;
            say(&mut stream, &ReceiverMessage::Welcome(welcome.clone())).await;
            serve(stream, number).await;
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "file", &content(SIZE, 1));
    let to = Address::Tcp { host: "127.0.0.1".to_owned(), port };
    let (result, _) = send_and_listen(&to, vec![Source::path(path)], options).await;
    serving.abort();
    (result, connections.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_server_that_grants_no_uploads_is_none() {
    let nothing = Welcome { max_uploads_ahead: 0, ..welcome() };
    let silent = |mut stream: TcpStream, _| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (result, connections) = send_to(nothing, Options::default(), silent).await;
    assert!(matches!(result, Err(SendError::NotSandport(_))), "{result:?}");
    assert_eq!(connections, 1, "it is not tried again");
}

#[tokio::test]
async fn a_server_that_floods_with_keep_alives_is_none() {
    let flood = |mut stream: TcpStream, _| async move {
        let _ = stream.read_exact(&mut [0; OFFERED_BYTES]).await;
        say(&mut stream, &accepted(0)).await;
        let many = ReceiverMessage::KeepAlive.encode_frame().unwrap().repeat(10_000);
        while stream.write_all(&many).await.is_ok() {}
    };
    let (result, connections) = send_to(welcome(), Options::default(), flood).await;
    assert!(matches!(result, Err(SendError::NotSandport(_))), "{result:?}");
    assert_eq!(connections, 1, "it is not tried again");
}

#[tokio::test]
async fn a_byte_for_each_connection_uses_the_retries_up() {
    let one_by_one = |mut stream: TcpStream, number| async move {
        let _ = stream.read_exact(&mut [0; OFFERED_BYTES]).await;
        say(&mut stream, &accepted(number + 1)).await;
    };
    let options = Options { retries: 1, ..Options::default() };
    let (result, connections) = send_to(welcome(), options, one_by_one).await;
    assert!(matches!(result, Err(SendError::Cut)), "{result:?}");
    assert_eq!(connections, 2);
}
