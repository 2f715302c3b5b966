//! Samples, and what is said of many of them.

use std::fmt;
use std::time::Duration;

/// One transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// From before the connection is made until the receiver is done.
    pub(crate) wall: Duration,
    /// What the receiving process used of the processor meanwhile.
    pub(crate) cpu: Duration,
}

/// The median of some figures, and how far they lie apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` of no figures.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Self { median: f64::midpoint(low, high), min, max })
    }

    /// The ratios `reference / own` of the same rounds: above 1 is faster, or cheaper, than the
    /// reference.
    pub(crate) fn of_ratios(
        own: &[Sample],
        reference: &[Sample],
        figure: impl Fn(&Sample) -> f64,
    ) -> Option<Self> {
        let pairs = own.iter().zip(reference);
        Self::of(pairs.map(|(own, reference)| figure(reference) / figure(own)))
    }
}

/// `median (min..max)`, to as many decimals as the precision says, or 2.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(2);
        let Self { median, min, max } = self;
        write!(f, "{median:.decimals$} ({min:.decimals$}..{max:.decimals$})")
    }
}

/// The figure that `percent` of all are not above.
pub(crate) fn percentile(figures: &[Duration], percent: usize) -> Duration {
    let mut sorted = figures.to_vec();
    sorted.sort();
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

/// In microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
