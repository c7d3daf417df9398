//! A proxy before PostgreSQL that takes connections away, by the `application_name` that they come with.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// The name of the connections that hear what other machines changed.
pub const LISTENER: &str = "keyfob-listen";

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// They are closed, and new ones as soon as they have said who they are.
    Cut,
    /// They stay open, and new ones are accepted, but nothing goes through. One that lost something stays silent for ever.
    BlackHole,
    /// Whatever is asked of the server reaches it as much later.
    Slow(Duration),
}

/// Whose connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    All,
    Of(&'static str),
}

#[derive(Clone, Copy)]
struct Rule(Trouble, Whose);

impl Rule {
    fn on(self, name: &str) -> Trouble {
        match self {
            Self(trouble, Whose::All) => trouble,
            Self(trouble, Whose::Of(wanted)) if wanted == name => trouble,
            Self(..) => Trouble::None,
        }
    }
}

pub struct Proxy {
    pub addr: SocketAddr,
    rule: watch::Sender<Rule>,
    shared: Arc<Shared>,
}

struct Shared {
    server: Mutex<SocketAddr>,
    /// How many connections of each name were let through so far.
    passed: Mutex<HashMap<String, usize>>,
}

impl Proxy {
    /// Starts one before a server; it ends with the test's runtime.
    pub async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (rule, rules) = watch::channel(Rule(Trouble::None, Whose::All));
        let shared = Arc::new(Shared { server: Mutex::new(server), passed: Mutex::default() });
        tokio::spawn(accept(listener, rules, shared.clone()));
        Self { addr, rule, shared }
    }

    /// Makes trouble for these connections, and none for others, from now on.
    pub fn make(&self, trouble: Trouble, whose: Whose) {
        self.rule.send_replace(Rule(trouble, whose));
    }

    /// Leads new connections to another server; those that are open stay where they are.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap() = server;
    }

    /// How many connections of this name were let through so far.
    pub fn passed(&self, name: &str) -> usize {
        self.shared.passed.lock().unwrap().get(name).copied().unwrap_or_default()
    }

    /// Waits until more than `before` connections of this name were let through.
    pub async fn passes_more_than(&self, before: usize, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.passed(name) <= before {
            assert!(Instant::now() < deadline, "no connection of {name} came in time");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn accept(listener: TcpListener, rules: watch::Receiver<Rule>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(open(client, rules.clone(), shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Finds out who a client is, and carries its connection if that is wanted.
async fn open(mut client: TcpStream, mut rules: watch::Receiver<Rule>, shared: Arc<Shared>) -> io::Result<()> {
    let (startup, name) = read_startup(&mut client).await?;
    let trouble = rules.borrow_and_update().on(&name);
    if trouble == Trouble::Cut {
        return Ok(());
    }
    let to = *shared.server.lock().unwrap();
    let mut server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    if trouble != Trouble::BlackHole {
        *shared.passed.lock().unwrap().entry(name.clone()).or_default() += 1;
        server.write_all(&startup).await?;
    }
    carry((client, server), &name, rules, trouble == Trouble::BlackHole).await
}

/// Carries a connection until either end closes it, or it is cut.
async fn carry(
    (mut client, mut server): (TcpStream, TcpStream),
    name: &str,
    mut rules: watch::Receiver<Rule>,
    mut is_lost: bool,
) -> io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        let (length, is_asked) = tokio::select! {
            changed = rules.changed() => {
                changed.map_err(io::Error::other)?;
                if rules.borrow_and_update().on(name) == Trouble::Cut {
                    return Ok(());
                }
                continue;
            }
            length = client.read(&mut asked) => (length?, true),
            // What the server does to a lost connection the client does not learn.
            length = server.read(&mut answered), if !is_lost => (length?, false),
        };
        is_lost |= rules.borrow().on(name) == Trouble::BlackHole;
        match (length, is_asked) {
            (0, true) => return Ok(()),
            _ if is_lost => {}
            (0, false) => return Ok(()),
            (_, true) => {
                let rule = *rules.borrow();
                if let Trouble::Slow(by) = rule.on(name) {
                    sleep(by).await;
                }
                server.write_all(&asked[..length]).await?;
            }
            (_, false) => client.write_all(&answered[..length]).await?,
        }
    }
}

/// Reads the first packet of a client; gives it as it came, and the name in it. To the question for encryption before it
/// the answer is no.
async fn read_startup(client: &mut TcpStream) -> io::Result<(Vec<u8>, String)> {
    const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];
    loop {
        let length = client.read_u32().await?;
        let kind = client.read_u32().await?;
        let rest = length.checked_sub(8).filter(|rest| *rest < 10_000);
        let mut settings = vec![0; rest.ok_or(io::ErrorKind::InvalidData)? as usize];
        client.read_exact(&mut settings).await?;
        if ENCRYPTION.contains(&kind) {
            client.write_all(b"N").await?;
            continue;
        }
        let mut words = settings.split(|byte| *byte == 0).skip_while(|word| *word != b"application_name").skip(1);
        let name = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
        let packet = [&length.to_be_bytes()[..], &kind.to_be_bytes(), &settings].concat();
        return Ok((packet, name));
    }
}
