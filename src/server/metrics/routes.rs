//! Numbers of the routes, so that a counter is found by a small number instead of a text.

use std::sync::OnceLock;

/// Patterns that have a number of their own. A program with more counts the rest as [`OTHER`].
const MAX_ROUTES: usize = 256;
/// Number of labels: the patterns, and [`OTHER`].
pub const MAX_LABELS: usize = MAX_ROUTES + 1;
/// Number of the routes that found no place.
const OTHER: usize = MAX_ROUTES;

/// Hash table of the patterns that were requested so far. Patterns come from the program, so clients cannot fill it. Once a
/// pattern is in, finding it is one comparison, without a lock.
pub struct Routes(Box<[OnceLock<Box<str>>]>);

impl Default for Routes {
    fn default() -> Self {
        Self((0..MAX_ROUTES).map(|_| OnceLock::new()).collect())
    }
}

impl Routes {
    /// Returns the number of a pattern.
    pub fn label(&self, pattern: &str) -> usize {
        let start = hash(pattern);
        for step in 0..MAX_ROUTES {
            let place = (start + step) % MAX_ROUTES;
            // Of two threads that add a pattern here, one finds that of the other.
            if **self.0[place].get_or_init(|| pattern.into()) == *pattern {
                return place;
            }
        }
        OTHER
    }

    /// Returns each number with its pattern.
    pub fn all(&self) -> impl Iterator<Item = (usize, &str)> {
        let known = self.0.iter().enumerate().filter_map(|(n, pattern)| Some((n, &**pattern.get()?)));
        known.chain([(OTHER, "other")])
    }
}

/// Mixes the length and both ends: patterns differ in these, and a full hash would cost more than everything else here.
fn hash(pattern: &str) -> usize {
    let bytes = pattern.as_bytes();
    let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let ends = word(bytes.first_chunk()) ^ word(bytes.last_chunk()).rotate_left(17) ^ bytes.len() as u64;
    // Fibonacci hashing: the upper bits are the best.
    usize::from((ends.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_keeps_its_number() {
        let routes = Routes::default();
        let patterns = ["/", "/a/{team}", "/healthz", "/fn/{name}", "/admin/fn/{name}", ""];
        let labels = patterns.map(|pattern| routes.label(pattern));
        assert_eq!(patterns.map(|pattern| routes.label(pattern)), labels);
        for (pattern, label) in patterns.iter().zip(labels) {
            assert!(routes.all().any(|found| found == (label, pattern)));
        }
        assert_eq!(routes.all().count(), patterns.len() + 1);
    }

    #[test]
    fn too_many_patterns_are_one_label() {
        let routes = Routes::default();
        let labels: Vec<_> = (0..MAX_ROUTES + 10).map(|n| routes.label(&format!("/own/{n}/report"))).collect();
        assert_eq!(labels.iter().filter(|label| **label == OTHER).count(), 10);
        assert_eq!(routes.label("/own/0/report"), labels[0]);
    }
}
