//! Retries a request whose transaction was rolled back because of a conflict (SQLSTATE 40001 and 40P01).

use std::cell::Cell;
use std::time::Duration;

use tokio::time::sleep;

/// How long to wait before each retry.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(100)];

/// The events of one attempt.
#[derive(Debug, Default)]
struct Attempt {
    conflict: Cell<bool>,
    committed: Cell<bool>,
}

tokio::task_local! {
    static ATTEMPT: Attempt;
}

/// Runs work, and up to twice again while it fails because of a conflict. Work that committed anything is not retried:
/// half of it would run twice.
pub async fn repeat<T, W: Future<Output = T>>(mut work: impl FnMut() -> W, has_failed: impl Fn(&T) -> bool) -> T {
    for pause in RETRY_DELAYS {
        let attempt = async {
            let done = work().await;
            let again = ATTEMPT.with(|attempt| attempt.conflict.get() && !attempt.committed.get());
            (done, again)
        };
        let (done, again) = ATTEMPT.scope(Attempt::default(), attempt).await;
        if !again || !has_failed(&done) {
            return done;
        }
        sleep(pause).await;
    }
    work().await
}

/// Records a conflict.
pub(super) fn note_conflict() {
    // Fails outside of a request, where nothing is retried.
    let _ = ATTEMPT.try_with(|attempt| attempt.conflict.set(true));
}

/// Records that something was committed, or may have been.
pub(super) fn note_commit() {
    let _ = ATTEMPT.try_with(|attempt| attempt.committed.set(true));
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn attempts(work: impl Fn(u32) -> bool) -> (u32, bool) {
        let count = Cell::new(0);
        let attempt = || {
            count.set(count.get() + 1);
            let done = work(count.get());
            async move { done }
        };
        let done = repeat(attempt, |done| !done).await;
        (count.get(), done)
    }

    #[tokio::test]
    async fn conflict_is_retried_at_most_twice() {
        let loses = |times| {
            move |attempt| {
                if attempt <= times {
                    note_conflict();
                }
                attempt > times
            }
        };
        assert_eq!(attempts(loses(0)).await, (1, true));
        assert_eq!(attempts(loses(1)).await, (2, true));
        assert_eq!(attempts(loses(2)).await, (3, true));
        assert_eq!(attempts(loses(9)).await, (3, false));
    }

    #[tokio::test]
    async fn nothing_else_is_retried() {
        let committed = |_| {
            note_commit();
            note_conflict();
            false
        };
        assert_eq!(attempts(committed).await, (1, false), "half of it is done");
        assert_eq!(attempts(|_| false).await, (1, false), "it failed for another reason");
        let recovered = |_| {
            note_conflict();
            true
        };
        assert_eq!(attempts(recovered).await, (1, true), "it did not fail");
    }
}
