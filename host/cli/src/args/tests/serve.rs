//! The arguments of `sandport serve`.

use std::path::PathBuf;
use std::time::Duration;

use clap::CommandFactory;
use clap::error::ErrorKind;
use sandport_protocol::Address;
use sandport_protocol::options::SHARED_OPTIONS;

use super::parse;
use crate::args::{Cli, Command, ServeArgs};

fn serve(line: &str) -> ServeArgs {
    match parse(line).unwrap().command {
        Some(Command::Serve(args)) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn serve_needs_no_argument() {
    let args = serve("sandport serve");
    assert_eq!(args.dir, PathBuf::from("inbox"));
    assert_eq!(args.listen, ["127.0.0.1:6542".parse::<Address>().unwrap()]);
    assert_eq!(args.limits(), sandport_protocol::Limits::default());
}

#[test]
fn serve_takes_several_addresses() {
    let args = serve("sandport serve ./in -l 127.0.0.1:0 --listen [::1]:7 -l unix:/run/s");
    let written: Vec<String> = args.listen.iter().map(ToString::to_string).collect();
    assert_eq!(written, ["127.0.0.1:0", "[::1]:7", "unix:/run/s"]);
}

#[test]
fn sizes_and_durations_have_units() {
    let args = serve("sandport serve --max-file 2GiB --idle-timeout 1m --drain-timeout 500ms");
    assert_eq!(args.max_file, Some(2 << 30));
    assert_eq!(args.idle_timeout, Duration::from_secs(60));
    assert_eq!(args.drain_timeout, Duration::from_millis(500));
    let week = serve("sandport serve").inbox_options().partial_expiry;
    assert_eq!(week, Some(Duration::from_secs(7 * 24 * 3_600)));
    for wrong in ["--max-file big", "--idle-timeout 60", "--idle-timeout 0s", "--max-connections 0"]
    {
        let error = parse(&format!("sandport serve {wrong}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValueValidation, "{wrong}: {error}");
    }
}

#[test]
fn http_is_on_unless_switched_off_and_other_origins_are_named() {
    assert!(serve("sandport serve").limits().http);
    let args = serve(
        "sandport serve --http off --http-origin https://A.example --http-origin http://b:99,http://c",
    );
    assert!(!args.limits().http);
    let origins: Vec<String> = args.http_origin.iter().map(ToString::to_string).collect();
    assert_eq!(origins, ["https://a.example", "http://b:99", "http://c"]);
    for wrong in ["--http maybe", "--http-origin files.example", "--http-origin null"] {
        let error = parse(&format!("sandport serve {wrong}")).unwrap_err();
        let kinds = [ErrorKind::ValueValidation, ErrorKind::InvalidValue];
        assert!(kinds.contains(&error.kind()), "{wrong}: {error}");
    }
    let error = parse("sandport serve --http-origin files.example").unwrap_err().to_string();
    assert!(error.contains("as https://files.example does"), "{error}");
}

#[test]
fn proxies_are_networks_addresses_or_local_sockets() {
    let args = serve(
        "sandport serve --trusted-proxy 10.0.0.0/8,unix --trusted-proxy ::1 --proxy-protocol 192.0.2.7",
    );
    let written: Vec<String> = args.trusted_proxy.iter().map(ToString::to_string).collect();
    assert_eq!(written, ["10.0.0.0/8", "unix", "::1/128"]);
    assert_eq!(args.proxy_protocol[0].to_string(), "192.0.2.7/32");
    let error = parse("sandport serve --proxy-protocol proxy.example").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ValueValidation, "{error}");
    assert!(error.to_string().contains("write 10.0.0.0/8"), "{error}");
}

#[test]
fn serve_has_the_options_that_receiving_programs_share() {
    let cli = Cli::command();
    let serve = cli.find_subcommand("serve").unwrap();
    for shared in SHARED_OPTIONS {
        let name = shared.name;
        let mut args = serve.get_arguments().chain(cli.get_arguments());
        let arg =
            args.find(|arg| arg.get_long() == Some(name)).unwrap_or_else(|| panic!("no --{name}"));
        assert_eq!(arg.get_env().unwrap(), shared.variable().as_str(), "--{name}");
        if let Some(value) = shared.value {
            assert_eq!(arg.get_value_names().unwrap(), [value], "--{name}");
        }
        if let Some(default) = shared.default {
            assert_eq!(arg.get_default_values(), [default], "--{name}");
        }
    }
}
