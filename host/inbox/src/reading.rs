//! Digests of files that are read once more.

use std::os::fd::AsFd;

use rustix::io::Errno;
use sandport_protocol::inbox::Claims;
use sandport_protocol::{ContentDigest, Refusal};

use super::Core;
use super::meter::{Bill, Cost};
use super::sums::Hasher;

/// How much is read in one go. Bytes.
const READ_BYTES: usize = 1024 * 1024;

/// What is to be found out of a file by reading it.
pub(super) struct Reading {
    claims: Claims,
    cost: Cost,
}

impl Reading {
    pub(super) fn new(claims: Claims, cost: Cost) -> Self {
        Self { claims, cost }
    }

    /// The same file, for two connections that have brought it together.
    pub(super) fn join(&mut self, other: Self) {
        self.claims.join(other.claims);
    }

    /// Reads the `size` bytes of a file: its digests, and the bill.
    ///
    /// # Errors
    /// `digest-mismatch`: it is not what somebody has said that it is. `io` and the like.
    pub(super) fn read(
        &self,
        core: &Core,
        file: impl AsFd,
        size: u64,
    ) -> (Result<Vec<ContentDigest>, Refusal>, Bill) {
        self.cost.of(size, || {
            let hashers = self.claims.algorithms().map(Hasher::new).collect::<Result<_, _>>()?;
            let digests = digests_of(core, file, size, hashers)
                .map_err(|errno| core.refusal("read a file", errno))?;
            self.claims.check(&digests)?;
            Ok(digests)
        })
    }
}

fn digests_of(
    core: &Core,
    file: impl AsFd,
    size: u64,
    mut hashers: Vec<Hasher>,
) -> Result<Vec<ContentDigest>, Errno> {
    let length_of =
        |left: u64| usize::try_from(left).map_or(READ_BYTES, |left| left.min(READ_BYTES));
    let mut buffer = vec![0; length_of(size)];
    let mut offset = 0;
    while offset < size {
        let piece = &mut buffer[..length_of(size - offset)];
        core.disk.read(&file, piece, offset)?;
        hashers.iter_mut().for_each(|hasher| hasher.update(piece));
        offset += piece.len() as u64;
    }
    Ok(hashers.into_iter().map(Hasher::digest).collect())
}
