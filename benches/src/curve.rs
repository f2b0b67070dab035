//! What no signed call can do without: two signatures and two verifications.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::{Error, process};

/// The texts of one call, a key, and the signatures.
#[derive(Clone, Debug)]
pub struct Curve {
    key: SigningKey,
    public: VerifyingKey,
    texts: Vec<(Vec<u8>, Signature)>,
}

/// What signing and verifying the texts of one call costs, on this machine and now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Signing all texts: CPU time of one thread alone, in microseconds.
    pub sign: f64,
    /// Verifying all of them, likewise.
    pub verify: f64,
    /// How much faster than that one thread all cores are together, had it a core to itself. Less than there are cores when they
    /// share their parts, or when others use them.
    pub cores: f64,
}

impl Price {
    /// The CPU time of a call that costs this and `raw` besides, in microseconds.
    #[must_use]
    pub fn cpu(&self, raw: f64) -> f64 {
        raw + self.sign + self.verify
    }

    /// How many such calls are possible in a second.
    #[must_use]
    pub fn ceiling(&self, raw: f64) -> f64 {
        self.cores * 1e6 / self.cpu(raw)
    }

    /// The mean of two measurements.
    #[must_use]
    pub fn mean(self, other: Price) -> Price {
        Price {
            sign: f64::midpoint(self.sign, other.sign),
            verify: f64::midpoint(self.verify, other.verify),
            cores: f64::midpoint(self.cores, other.cores),
        }
    }
}

impl Curve {
    /// For the texts of one call.
    ///
    /// # Errors
    ///
    /// A text cannot be signed, or its signature does not verify.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, Error> {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key();
        let mut signed = Vec::new();
        for text in texts {
            let signature = key.try_sign(text)?;
            public.verify_strict(text, &signature)?;
            signed.push((text.to_vec(), signature));
        }
        Ok(Curve { key, public, texts: signed })
    }

    /// Signs every text once.
    pub fn sign(&self) {
        for (text, _) in &self.texts {
            let _ = black_box(self.key.try_sign(black_box(text)));
        }
    }

    /// Verifies every text once.
    pub fn verify(&self) {
        for (text, signature) in &self.texts {
            let _ = black_box(self.public.verify_strict(black_box(text), signature));
        }
    }

    /// Measures: for `time` with one thread, and for `time` with one thread for each core.
    ///
    /// # Errors
    ///
    /// A thread ended early.
    pub fn measure(&self, time: Duration) -> Result<Price, Error> {
        let alone = self.work(time);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let together = thread::scope(|scope| {
            let threads: Vec<_> = (0..cores).map(|_| scope.spawn(|| self.work(time))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().map(|work| work.calls / work.wall.as_secs_f64()))
                .sum::<Result<f64, _>>()
        });
        let together = together.map_err(|_| "a thread that signs has panicked")?;
        let micros = |spent: Duration| spent.as_secs_f64() * 1e6 / alone.calls;
        let (sign, verify) = (micros(alone.sign), micros(alone.verify));
        Ok(Price { sign, verify, cores: together * (sign + verify) / 1e6 })
    }

    /// Signs and verifies for a time, in this thread.
    fn work(&self, time: Duration) -> Work {
        const BATCH: u32 = 4;
        let mut work = Work::default();
        let begun = Instant::now();
        while work.wall < time {
            let at = process::thread_cpu();
            (0..BATCH).for_each(|_| self.sign());
            let signed = process::thread_cpu();
            (0..BATCH).for_each(|_| self.verify());
            work.sign += signed.saturating_sub(at);
            work.verify += process::thread_cpu().saturating_sub(signed);
            work.calls += f64::from(BATCH);
            work.wall = begun.elapsed();
        }
        work
    }
}

/// For how many calls was signed and verified, and what it took: CPU time, and all in all.
#[derive(Clone, Copy, Debug, Default)]
struct Work {
    calls: f64,
    sign: Duration,
    verify: Duration,
    wall: Duration,
}
