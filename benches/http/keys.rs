//! Keys to ask with: as many as a million, in a random order that is the same in every run.

use std::io;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// The keys of a database as `keyfob seed` printed them, one a line and all of the same length.
pub struct Keys {
    text: String,
    width: usize,
}

impl Keys {
    /// # Errors
    /// If these are no lines of one length.
    pub fn read(text: String) -> io::Result<Self> {
        let width = text.lines().next().map_or(0, str::len);
        if width == 0 || text.lines().any(|line| line.len() != width) {
            return Err(io::Error::other("keyfob seed printed something else than keys"));
        }
        Ok(Self { text, width })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.text.len().div_ceil(self.width + 1)
    }

    /// The key of this number, from 0.
    pub fn get(&self, n: usize) -> &str {
        let at = n * (self.width + 1);
        &self.text[at..at + self.width]
    }

    /// The public beginning of the first key.
    pub fn prefix(&self) -> &str {
        self.get(0).rsplit_once('_').map_or("", |(prefix, _)| prefix)
    }

    /// The numbers of all keys, shuffled: neighbours in the order are none in the database.
    pub fn shuffled(&self) -> Vec<usize> {
        let mut numbers: Vec<_> = (0..self.len()).collect();
        numbers.shuffle(&mut StdRng::seed_from_u64(4));
        numbers
    }
}
