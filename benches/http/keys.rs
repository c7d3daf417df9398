//! Keys for requests: up to a million, in the same random order in every run.

use std::io;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// Keys as `keyfob seed` printed them, one per line and all of the same length.
pub struct Keys {
    text: String,
    width: usize,
}

impl Keys {
    pub fn read(text: String) -> io::Result<Self> {
        let width = text.lines().next().map_or(0, str::len);
        if width == 0 || text.lines().any(|line| line.len() != width) {
            return Err(io::Error::other("keyfob seed printed lines that are not keys"));
        }
        Ok(Self { text, width })
    }

    pub fn len(&self) -> usize {
        self.text.len().div_ceil(self.width + 1)
    }

    /// Returns a key by its index.
    pub fn get(&self, n: usize) -> &str {
        let at = n * (self.width + 1);
        &self.text[at..at + self.width]
    }

    /// Returns the public prefix of the first key.
    pub fn prefix(&self) -> &str {
        self.get(0).rsplit_once('_').map_or("", |(prefix, _)| prefix)
    }

    /// Returns the shuffled indexes of all keys, so that successive keys are far apart in the database.
    pub fn shuffled(&self) -> Vec<usize> {
        let mut numbers: Vec<_> = (0..self.len()).collect();
        numbers.shuffle(&mut StdRng::seed_from_u64(4));
        numbers
    }
}
