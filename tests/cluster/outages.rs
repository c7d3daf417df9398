//! What a machine does while it hears nothing of the others, or has no database at all.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::support::key_client::{me, revoke, until_refused, use_key};
use crate::support::machines::{Machine, make_keys};
use crate::support::proxy::{LISTENER, Proxy, Trouble, Whose};
use crate::support::serial::alone;
use crate::support::shared_database::Database;

/// How long a key may be let in that was revoked where the machine could not hear of it; and a moment to ask.
const UNHEARD: Duration = Duration::from_millis(5_100);
/// How long a key may be let in of which the database cannot be asked any more.
const CACHED: Duration = Duration::from_secs(6);
/// How long the database is away: longer than that.
const AWAY: Duration = Duration::from_secs(8);
/// How long a machine may take to be as before.
const HEALED: Duration = Duration::from_secs(10);

#[tokio::test]
async fn cut_listener_sees_a_revocation_within_five_seconds() {
    without_the_listener(Trouble::Cut).await;
}

#[tokio::test]
async fn black_holed_listener_sees_a_revocation_in_five_seconds() {
    without_the_listener(Trouble::BlackHole).await;
}

#[tokio::test]
async fn cut_database_rejects_no_valid_key_and_admits_no_new_one() {
    without_the_database(Trouble::Cut).await;
}

#[tokio::test]
async fn black_holed_database_rejects_no_valid_key_and_admits_no_new() {
    without_the_database(Trouble::BlackHole).await;
}

/// A machine that reaches the database directly, and one by a proxy.
struct Two {
    database: Database,
    proxy: Proxy,
    direct: Machine,
    by_proxy: Machine,
    keys: Vec<String>,
}

impl Two {
    async fn start() -> Self {
        let database = Database::make().await;
        let keys = make_keys(database.url(), 100).await;
        let proxy = Proxy::before(database.server()).await;
        let url = database.url_by(proxy.addr);
        let (direct, by_proxy) = tokio::join!(Machine::start(database.url()), Machine::start(&url));
        Self { database, proxy, direct, by_proxy, keys }
    }

    /// A key that was not used before.
    fn key(&mut self) -> String {
        self.keys.pop().unwrap()
    }

    /// Revokes a key on the one machine; gives how long the other lets it in.
    async fn revocation(&self, key: &str, limit: Duration) -> Duration {
        let revoked = revoke(self.direct.addr, key).await;
        until_refused(self.by_proxy.addr, key, "key_revoked", (revoked, limit)).await
    }
}

async fn without_the_listener(trouble: Trouble) {
    let _alone = alone().await;
    let mut two = Two::start().await;
    two.proxy.passes_more_than(0, LISTENER).await;
    let heard = two.proxy.passed(LISTENER);
    let (before, after) = (two.key(), two.key());

    use_key(two.by_proxy.addr, &before).await;
    two.proxy.make(trouble, Whose::Of(LISTENER));
    use_key(two.by_proxy.addr, &after).await;
    let (of_before, of_after) = tokio::join!(two.revocation(&before, UNHEARD), two.revocation(&after, UNHEARD));
    println!(
        "{trouble:?}: a revocation that could not be heard was seen after {of_before:.1?} for a key used before the \
         trouble, {of_after:.1?} for one used after."
    );

    let noticed = async {
        while !two.by_proxy.log().contains("change notifications lost") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noticed).await.expect("the machine notices that it hears nothing");

    two.proxy.make(Trouble::None, Whose::All);
    let healed = Instant::now();
    loop {
        let key = two.key();
        use_key(two.by_proxy.addr, &key).await;
        let delay = two.revocation(&key, UNHEARD).await;
        if delay < Duration::from_secs(1) {
            println!("{trouble:?}: {:.1?} after its end a revocation was seen after {delay:.1?}.", healed.elapsed());
            break;
        }
        assert!(healed.elapsed() < HEALED, "revocations are still seen late: after {delay:?}");
    }
    two.proxy.passes_more_than(heard, LISTENER).await;
    println!("{trouble:?}: {:.1?} after its end the machine had been listening again.", healed.elapsed());
    drop((two.direct, two.by_proxy));
    two.database.throw_away().await;
}

async fn without_the_database(trouble: Trouble) {
    let _alone = alone().await;
    let mut two = Two::start().await;
    let addr = two.by_proxy.addr;
    let (used, revoked, unused) = (two.key(), two.key(), two.key());
    use_key(addr, &used).await;
    use_key(addr, &revoked).await;

    two.proxy.make(trouble, Whose::All);
    let away = Instant::now();
    revoke(two.direct.addr, &revoked).await;
    let (used_in, revoked_in, unused_in) =
        tokio::join!(let_in(addr, &used, away), let_in(addr, &revoked, away), let_in(addr, &unused, away));
    println!("{trouble:?}: a used key was let in for {used_in:.1?}, a revoked one for {revoked_in:.1?}, then 503.");
    assert!(used_in <= CACHED && revoked_in <= CACHED);
    assert_eq!(unused_in, Duration::ZERO, "a key was let in of which the machine could know nothing");

    two.proxy.make(Trouble::None, Whose::All);
    let back = Instant::now();
    let (used_after, unused_after, revoked_after) =
        tokio::join!(until_answered(addr, &used), until_answered(addr, &unused), until_answered(addr, &revoked));
    println!("{trouble:?}: {:.1?} after its end all were answered again.", back.elapsed());
    assert_eq!((used_after, unused_after, revoked_after), (200, 200, 401));
    drop((two.direct, two.by_proxy));
    two.database.throw_away().await;
}

/// Asks with a key while the database is away; gives how long it was let in. Each other answer is 503, and the last one.
async fn let_in(addr: SocketAddr, key: &str, away: Instant) -> Duration {
    let (mut let_in, mut last) = (Duration::ZERO, 0);
    while away.elapsed() < AWAY {
        let answer = me(addr, key).await;
        last = answer.status;
        if last == 200 {
            let_in = away.elapsed();
        } else {
            assert!(answer.refuses(503, "unavailable") && answer.header("retry-after").is_some(), "{answer:?}");
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(last, 503);
    let_in
}

/// Asks with a key until the answer is another than 503; gives its status.
async fn until_answered(addr: SocketAddr, key: &str) -> u16 {
    let back = Instant::now();
    loop {
        let asked = back.elapsed();
        let answer = me(addr, key).await;
        if answer.status != 503 {
            return answer.status;
        }
        assert!(asked < HEALED, "still unavailable when asked {asked:?} after the database was back");
        sleep(Duration::from_millis(20)).await;
    }
}
