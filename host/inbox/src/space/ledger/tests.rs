//! Uploads over a disk that is simulated: what it has, what they want, and when they bring it.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const MIB: u64 = 1024 * 1024;

/// Between two pieces of all uploads.
const TURN: Duration = Duration::from_millis(100);

struct Disk {
    free: u64,
    now: Duration,
    ledger: Ledger,
}

struct Upload {
    id: u64,
    /// `None`: a stream.
    announced: Option<u64>,
    written: u64,
    /// Of what was written, how much the ledger does not know.
    untold: u64,
    /// It ends here, also where it is a stream.
    size: u64,
}

/// What becomes of a piece.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Written,
    Refused,
    /// The disk was full before anybody had refused: what must not be.
    Full,
}

impl Disk {
    fn new(free: u64) -> Self {
        Self { free, now: Duration::ZERO, ledger: Ledger::default() }
    }

    /// Whether an upload of `size` is accepted.
    fn accepts(&mut self, size: u64) -> bool {
        let claimed = self.ledger.claimed_by_others(self.now, None);
        fits(size, self.free, 0, claimed).is_ok()
    }

    /// Brings a piece of an upload, as its claim does.
    fn bring(&mut self, upload: &mut Upload, piece: u64) -> Fate {
        let piece = piece.min(upload.size - upload.written);
        let others = self.ledger.claimed_by_others(self.now, Some(upload.id));
        if others > 0
            && let Some(needed) =
                self.ledger.needs(upload.id, upload.announced, upload.untold, piece)
            && fits(needed, self.free, 0, others).is_err()
        {
            self.ledger.remove(upload.id);
            return Fate::Refused;
        }
        self.ledger.bring(upload.id, self.now, upload.announced, upload.untold, piece);
        if piece > self.free {
            return Fate::Full;
        }
        self.free -= piece;
        upload.written += piece;
        upload.untold = piece;
        if upload.written == upload.size {
            self.ledger.remove(upload.id);
        }
        Fate::Written
    }

    fn upload(id: u64, size: u64) -> Upload {
        Upload { id, announced: Some(size), written: 0, untold: 0, size }
    }
}

#[test]
fn of_two_uploads_that_fit_alone_the_second_is_refused() {
    let mut disk = Disk::new(180 * MIB);
    let (mut first, mut second) = (Disk::upload(1, 120 * MIB), Disk::upload(2, 120 * MIB));
    assert!(disk.accepts(120 * MIB), "nobody has brought anything");
    assert_eq!(disk.bring(&mut first, MIB), Fate::Written);
    assert_eq!(disk.bring(&mut second, MIB), Fate::Refused);
    // The ledger hears of a piece with the next one.
    assert!(!disk.accepts(120 * MIB) && disk.accepts(59 * MIB));
    while first.written < first.size {
        assert_eq!(disk.bring(&mut first, MIB), Fate::Written);
    }
    assert!(disk.accepts(60 * MIB) && !disk.accepts(61 * MIB), "it claims nothing any more");
}

#[test]
fn who_announces_much_and_brings_nothing_keeps_nobody_out() {
    let mut disk = Disk::new(1_000 * MIB);
    let mut stranger = Disk::upload(1, 900 * MIB);
    assert!(disk.accepts(1_000 * MIB));
    assert_eq!(disk.bring(&mut stranger, 1), Fate::Written);
    assert!(disk.accepts(999 * MIB), "a byte claims a thousand");
    assert_eq!(disk.bring(&mut stranger, MIB), Fate::Written);
    assert!(!disk.accepts(200 * MIB));
    disk.now += LAPSE;
    assert!(disk.accepts(998 * MIB), "it has brought nothing for a while");
}

#[test]
fn a_slow_upload_claims_what_it_can_bring_in_a_while() {
    let mut disk = Disk::new(1 << 40);
    let mut drip = Disk::upload(1, 1 << 40);
    for _ in 0..100 {
        assert_eq!(disk.bring(&mut drip, MIB), Fate::Written);
        disk.now += LAPSE / 2;
    }
    let claimed = disk.ledger.claimed_by_others(disk.now, None);
    assert!((2_000 * MIB..=5_000 * MIB).contains(&claimed), "{claimed}");
}

#[test]
fn an_upload_that_stood_still_is_not_refused_for_newcomers() {
    let mut disk = Disk::new(100 * MIB);
    let (mut first, mut second) = (Disk::upload(1, 80 * MIB), Disk::upload(2, 50 * MIB));
    assert_eq!(disk.bring(&mut first, MIB), Fate::Written);
    disk.now += LAPSE;
    assert!(disk.accepts(second.size));
    assert_eq!(disk.bring(&mut second, MIB), Fate::Written);
    assert_eq!(disk.bring(&mut first, MIB), Fate::Written, "it was here first");
}

#[test]
fn announced_sizes_beyond_what_a_number_holds_are_counted() {
    let mut ledger = Ledger::default();
    for id in 0..4 {
        ledger.bring(id, Duration::ZERO, Some(u64::MAX), 0, u64::MAX);
    }
    assert_eq!(ledger.claimed_by_others(Duration::ZERO, Some(0)), u64::MAX);
    (0..4).for_each(|id| ledger.remove(id));
    assert_eq!((ledger.claimed, ledger.lapses.len(), ledger.claims.len()), (0, 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// While all bring something, nobody meets a full disk who was not refused before; and whoever is
    /// alone gets what there is.
    #[test]
    fn nobody_meets_a_full_disk_who_was_let_in(
        free_mib in 1_u64..400,
        wanted in prop::collection::vec((1_u64..300, any::<bool>(), 1_u64..4, 0_u64..20), 1..8),
    ) {
        let mut disk = Disk::new(free_mib * MIB);
        let mut waiting: Vec<_> = wanted.iter().enumerate().map(|(id, &(mib, stream, pieces, turn))| {
            let size = mib * MIB;
            let announced = (!stream).then_some(size);
            (turn, pieces, Upload { id: id as u64, announced, written: 0, untold: 0, size })
        }).collect();
        let mut running: Vec<(u64, Upload)> = Vec::new();
        let mut stored = 0;
        for turn in 0..2_000 {
            disk.now += TURN;
            while let Some(at) = waiting.iter().position(|(begins, ..)| *begins <= turn) {
                let (_, pieces, upload) = waiting.remove(at);
                if disk.accepts(upload.announced.unwrap_or(0)) {
                    running.push((pieces, upload));
                }
            }
            let mut next = Vec::new();
            for (pieces, mut upload) in std::mem::take(&mut running) {
                let fate = disk.bring(&mut upload, pieces * MIB / 4);
                // A stream announces nothing: it may fill what nobody claims.
                prop_assert!(fate != Fate::Full || upload.announced.is_none(), "{turn}: upload {}", upload.id);
                match fate {
                    Fate::Written if upload.written == upload.size => stored += 1,
                    Fate::Written => next.push((pieces, upload)),
                    Fate::Refused | Fate::Full => disk.ledger.remove(upload.id),
                }
            }
            running = next;
        }
        prop_assert!(running.is_empty() && waiting.is_empty());
        let fits_alone = wanted.len() == 1 && wanted[0].0 <= free_mib;
        prop_assert!(!fits_alone || stored == 1);
        prop_assert_eq!(disk.ledger.claimed, 0);
    }
}
