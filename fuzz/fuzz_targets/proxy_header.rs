#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sandport_fuzz::run("proxy_header", data));
