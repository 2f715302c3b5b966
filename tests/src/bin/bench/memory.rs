//! Memory of the server: at rest, with idle connections, and while a large file passes.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::environment::{Durability, Environment};
use crate::feed::{self, Content};
use crate::http;
use crate::proc::{self, Memory};
use crate::process::Server;
use crate::table::Table;

/// Idle connections to open, in this order.
const STEPS: [usize; 4] = [1, 100, 1_000, 10_000];

/// Connections that the server admits.
const CONNECTIONS_MAX: usize = 11_000;

/// How long the memory of a server has to stay as it is to be taken as its memory. It frees on other
/// threads.
const STILL: Duration = Duration::from_millis(500);

/// When a server whose memory goes on changing is taken as it is.
const STILL_PATIENCE: Duration = Duration::from_secs(10);

/// What is kept free beside a large file in memory, in KiB.
const SPARE_KIB: u64 = 4 * 1024 * 1024;

/// Runs the sections. `descriptors` is how many this process may have; `size` that of the large
/// file.
pub(crate) fn run_part(environment: &Environment, descriptors: u64, size: u64) -> Result<()> {
    // Some are in use for other things.
    let most = usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(100);
    let steps: Vec<_> = STEPS.into_iter().filter(|&step| step <= most).collect();
    print!("{}", idle(environment, &steps)?);
    print!("{}", ended(environment)?);
    print!("{}", passing(environment, size)?);
    Ok(())
}

/// How far the idle connections have come.
#[derive(Clone, Copy)]
enum Idle {
    /// Nothing was sent.
    Silent,
    /// The size was sent and answered: a sandbox waits for the bytes.
    Answered,
    /// A file was put over HTTP, and the connection is kept for the next request.
    Kept,
}

/// A connection that stays open.
#[allow(dead_code, reason = "it is held until it is dropped")]
enum Open {
    Plain(TcpStream),
    Http(http::Connection),
}

impl Idle {
    fn open(self, server: &Server, number: usize) -> Result<Open> {
        match self {
            Self::Silent => feed::connect(server.address).map(Open::Plain),
            Self::Answered => {
                let mut stream = feed::connect(server.address)?;
                feed::announce(&mut stream, 10)?;
                Ok(Open::Plain(stream))
            }
            Self::Kept => {
                let mut connection = http::Connection::open(server.address)?;
                connection.put(server.address, &format!("/{number}.bin"), b"x")?;
                Ok(Open::Http(connection))
            }
        }
    }
}

fn serve(environment: &Environment) -> Result<Server> {
    let dir = environment.tmpfs.directory("memory")?;
    let mut command = environment.serve(&dir, Durability::None);
    command.args(["--max-connections", &CONNECTIONS_MAX.to_string(), "--idle-timeout", "10m"]);
    Server::start(&mut command)
}

fn idle(environment: &Environment, steps: &[usize]) -> Result<Table> {
    let headers =
        ["idle connections", "resident MiB", "KiB each", "page tables MiB", "KiB each, with those"];
    let mut table = Table::new("Memory with idle connections", &headers);
    let kinds = [
        ("that sent nothing", Idle::Silent),
        ("with a live sandbox", Idle::Answered),
        ("of HTTP, kept after a PUT", Idle::Kept),
    ];
    for (words, kind) in kinds {
        let server = serve(environment)?;
        let rest = still(&server)?;
        if matches!(kind, Idle::Silent) {
            table.row([
                "none, at rest".to_owned(),
                mib(rest.resident),
                String::new(),
                mib(rest.page_tables),
            ]);
        }
        let mut open = Vec::new();
        for &step in steps {
            while open.len() < step {
                open.push(kind.open(&server, open.len())?);
            }
            let now = still(&server)?;
            let each = |kib: u64| format!("{:.1}", kib as f64 / step as f64);
            let resident = now.resident.saturating_sub(rest.resident);
            let tables = now.page_tables.saturating_sub(rest.page_tables);
            table.row([
                format!("{step} {words}"),
                mib(now.resident),
                each(resident),
                mib(now.page_tables),
                each(resident + tables),
            ]);
        }
    }
    table.note(format!(
        "A server with --max-connections {CONNECTIONS_MAX}. What the kernel keeps for sockets is not in \
         these figures, of any program."
    ));
    Ok(table)
}

/// Whether memory is given back.
fn ended(environment: &Environment) -> Result<Table> {
    let server = serve(environment)?;
    let mut table =
        Table::new("Memory that is given back", &["", "resident MiB", "page tables MiB"]);
    let mut row = |name: &str, memory: Memory| {
        table.row([name.to_owned(), mib(memory.resident), mib(memory.page_tables)]);
    };
    row("at rest", still(&server)?);
    for (during, after) in
        [("1,000 live sandboxes", "after they ended"), ("another 1,000", "after they ended too")]
    {
        let open = (0..1_000)
            .map(|number| Idle::Answered.open(&server, number))
            .collect::<Result<Vec<_>>>()?;
        row(during, still(&server)?);
        drop(open);
        row(after, still(&server)?);
    }
    Ok(table)
}

fn passing(environment: &Environment, size: u64) -> Result<Table> {
    let fits_in_memory = proc::available_kib() > size / 1024 + SPARE_KIB;
    let place = if fits_in_memory { &environment.tmpfs } else { &environment.disk };
    let dir = place.directory("memory-passing")?;
    let server = environment.sandport(&dir, Durability::None)?;
    let mut table = Table::new("Memory while a file passes", &["classic, one file", "peak MiB"]);
    table.row(["nothing yet: at rest".to_owned(), mib(still(&server)?.resident)]);
    for size in [size / 1024, size / 64, size] {
        proc::reset_peak(server.pid())?;
        feed::classic(server.address, &Content::new(size))?;
        table.row([format!("{} MiB", size / (1024 * 1024)), mib(server.memory()?.peak)]);
        crate::receivers::empty(&dir)?;
    }
    table.note(format!("Received into {}.", place.label));
    Ok(table)
}

/// The memory of a server, once it has stayed the same for a while.
pub(crate) fn still(server: &Server) -> Result<Memory> {
    let since = Instant::now();
    let mut last = server.memory()?;
    let mut unchanged = Instant::now();
    while unchanged.elapsed() < STILL && since.elapsed() < STILL_PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
        let now = server.memory()?;
        if now.resident != last.resident {
            unchanged = Instant::now();
        }
        last = now;
    }
    ensure!(last.resident > 0, "the server has ended");
    Ok(last)
}

/// Kibibytes as mebibytes.
pub(crate) fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}
