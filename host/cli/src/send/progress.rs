//! Bars on a terminal: one for all, and one for each large file.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use sandport_client::{SendEvent, SendFile};

use crate::console::count;
use crate::logging::colours_are_welcome;

/// Draws a second, at most: a person sees no more.
const DRAWS_PER_SECOND: u8 = 10;

/// Bars for single files at once: what fits a small terminal.
const FILE_BARS_MAX: usize = 8;

/// Files for which a bar of their own is worth its line. Bytes.
const FILE_BAR_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// Longest name beside a bar, in characters.
const NAME_CHARS_MAX: usize = 32;

/// How often the total is brought up to date. Bars are costly for ten thousand files a second.
const REFRESH: Duration = Duration::from_millis(50);

/// The bars of one run.
pub(super) struct Progress {
    bars: MultiProgress,
    total: ProgressBar,
    /// Bytes of files that are over, and of those under way what was sent.
    done: u64,
    stored: u64,
    verifying: u64,
    refreshed: Instant,
    under_way: HashMap<u64, UnderWay>,
    file_bars: usize,
}

struct UnderWay {
    sent: u64,
    verifying: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let bars = MultiProgress::with_draw_target(target);
        let total = bars.add(ProgressBar::no_length().with_style(growing()));
        total.set_message("Connecting");
        total.tick();
        Self {
            bars,
            total,
            done: 0,
            stored: 0,
            verifying: 0,
            refreshed: Instant::now(),
            under_way: HashMap::new(),
            file_bars: 0,
        }
    }

    pub(super) fn event(&mut self, event: &SendEvent) {
        match event {
            SendEvent::Connected { .. } => self.total.set_message("Sending"),
            SendEvent::Totals { bytes, .. } => {
                self.total.set_length(*bytes);
                self.total.set_style(bounded());
            }
            SendEvent::Started { file } => {
                let new = UnderWay { sent: 0, verifying: false, bar: None };
                self.under_way.insert(file.number, new);
            }
            SendEvent::Progress { file, sent } => self.sent(file, *sent),
            SendEvent::Verifying { file } => self.verify(file),
            SendEvent::Stored { file, .. }
            | SendEvent::AlreadyStored { file, .. }
            | SendEvent::StoredUnverified { file, .. }
            | SendEvent::Sent { file, .. } => {
                self.stored += 1;
                self.over(file);
            }
            SendEvent::DirectoryStored { file, .. }
            | SendEvent::Refused { file, .. }
            | SendEvent::Failed { file: Some(file), .. }
            | SendEvent::Unanswered { file, .. } => self.over(file),
            _ => {}
        }
        if self.refreshed.elapsed() >= REFRESH {
            self.refresh();
        }
    }

    /// Does what writes to the terminal while the bars are out of the way.
    pub(super) fn beside(&self, write: impl FnOnce()) {
        self.bars.suspend(write);
    }

    /// Takes the bars away.
    pub(super) fn finish(self) {
        for under_way in self.under_way.values() {
            if let Some(bar) = &under_way.bar {
                bar.finish_and_clear();
            }
        }
        self.total.finish_and_clear();
        // Where the terminal is gone there is nothing to clear.
        let _ = self.bars.clear();
    }

    fn sent(&mut self, file: &SendFile, sent: u64) {
        let bar_is_worth_it = file.size.is_none_or(|size| size >= FILE_BAR_BYTES_MIN)
            && self.file_bars < FILE_BARS_MAX;
        let Some(under_way) = self.under_way.get_mut(&file.number) else { return };
        self.done += sent.saturating_sub(under_way.sent);
        under_way.sent = sent;
        if under_way.bar.is_none() && bar_is_worth_it {
            let bar = match file.size {
                Some(size) => ProgressBar::new(size).with_style(bounded()),
                None => ProgressBar::no_length().with_style(growing()),
            };
            let bar = self.bars.insert_before(&self.total, bar);
            bar.set_message(format!("Sending {}", short_name(file)));
            self.file_bars += 1;
            under_way.bar = Some(bar);
        }
        if let Some(bar) = &under_way.bar {
            bar.set_position(sent);
        }
    }

    fn verify(&mut self, file: &SendFile) {
        let Some(under_way) = self.under_way.get_mut(&file.number) else { return };
        under_way.verifying = true;
        self.verifying += 1;
        // Small files are sent in one go, without progress.
        let all = file.size.unwrap_or(under_way.sent);
        self.done += all.saturating_sub(under_way.sent);
        under_way.sent = all;
        if let Some(bar) = &under_way.bar {
            bar.set_position(all);
            bar.set_message(format!("Verifying {}", short_name(file)));
        }
    }

    fn over(&mut self, file: &SendFile) {
        let Some(under_way) = self.under_way.remove(&file.number) else { return };
        self.done += file.size.unwrap_or(under_way.sent).saturating_sub(under_way.sent);
        self.verifying -= u64::from(under_way.verifying);
        if let Some(bar) = under_way.bar {
            bar.finish_and_clear();
            self.bars.remove(&bar);
            self.file_bars -= 1;
        }
    }

    fn refresh(&mut self) {
        self.refreshed = Instant::now();
        self.total.set_position(self.done);
        let phase = match (self.under_way.len() as u64, self.verifying) {
            (0, _) => String::from("Sending"),
            // All is on its way: what takes time now is the server's disk.
            (open, verifying) if open == verifying => {
                format!("Verifying {}", count(verifying, "file"))
            }
            _ => String::from("Sending"),
        };
        self.total.set_message(format!("{phase}, {} stored", self.stored));
    }
}

fn short_name(file: &SendFile) -> String {
    let name = file.path.file_name().unwrap_or(file.path.as_os_str());
    sandport_protocol::text::sanitize(&name.to_string_lossy(), NAME_CHARS_MAX)
}

/// A bar with an end.
fn bounded() -> ProgressStyle {
    let bar = if colours_are_welcome() { "{wide_bar:.cyan/dim}" } else { "{wide_bar}" };
    style(&format!("{bar} {{bytes}}/{{total_bytes}} {{bytes_per_sec}} {{eta}} {{msg}}"))
}

/// For what has no known end.
fn growing() -> ProgressStyle {
    style("{spinner} {bytes} {bytes_per_sec} {msg}")
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants; the default bar is no worse a loss than an error.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
