//! `keyfob user`

use clap::{Args, Subcommand};
use keyfob::model::text::{isolated, shown};
use keyfob::model::time::Timestamp;
use keyfob::model::users::{Email, display_name};
use keyfob::server::audit::Actor;
use keyfob::server::auth::password::Passwords;
use keyfob::server::clock::Clock;
use keyfob::server::users;
use keyfob::server::users::{Change, NewUser};

use super::{CommandError, Database, password_from_stdin};

#[derive(Subcommand)]
pub enum UserCommand {
    /// Make an account
    Create {
        #[command(flatten)]
        database: Database,
        /// Its email address
        #[arg(long)]
        email: String,
        /// Its display name
        #[arg(long, default_value = "")]
        name: String,
        /// It may do everything
        #[arg(long)]
        superuser: bool,
        /// Read its password from the first line of standard input
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// List all accounts
    List(Database),
    /// Set the password of an account and end its sessions
    SetPassword {
        #[command(flatten)]
        account: Account,
        /// Read the password from the first line of standard input
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Disable an account: its sessions end, its keys are refused
    Disable(Account),
    /// Enable an account again
    Enable(Account),
    /// Make an account a superuser
    Promote(Account),
    /// Make an account a superuser no more; the last one stays
    Demote(Account),
}

#[derive(Args)]
pub struct Account {
    #[command(flatten)]
    database: Database,
    /// Its email address
    #[arg(long)]
    email: String,
}

/// # Errors
/// If the command was refused.
pub async fn run(command: UserCommand) -> Result<(), CommandError> {
    let now = Clock::system().now();
    match command {
        UserCommand::Create { database, email, name, superuser, .. } => {
            let new = NewUser {
                email: Email::parse(&email)?,
                name: display_name(&name)?,
                superuser,
                password: password_from_stdin()?,
            };
            let made = users::create(&database.open().await?, &Passwords::new(), new, &Actor::operator(now)).await?;
            eprintln!("Made the account {}.", isolated(&made.user.email));
        }
        UserCommand::List(database) => {
            let show = |account: keyfob::model::users::Account| {
                let role = if account.user.superuser { "superuser" } else { "user" };
                let state = if account.disabled_at.is_some() { "disabled" } else { "active" };
                let (made, user) = (account.created_at.iso_date(), account.user);
                println!("{}\t{role}\t{state}\t{made}\t{}", shown(&user.email), shown(&user.name));
            };
            users::list(&database.open().await?, show).await?;
        }
        UserCommand::SetPassword { account, .. } => {
            let (email, password) = (Email::to_find(&account.email)?, password_from_stdin()?);
            let db = account.database.open().await?;
            let by = Actor::operator(now);
            if !users::set_password(&db, &Passwords::new(), (&email, password), &by).await? {
                return Err(unknown(&email));
            }
            eprintln!("{} has a new password.", isolated(&shown(email.as_str())));
        }
        UserCommand::Disable(account) => change(account, Change::Disable, "is disabled", now).await?,
        UserCommand::Enable(account) => change(account, Change::Enable, "is enabled", now).await?,
        UserCommand::Promote(account) => change(account, Change::Promote, "is a superuser", now).await?,
        UserCommand::Demote(account) => change(account, Change::Demote, "is a superuser no more", now).await?,
    }
    Ok(())
}

async fn change(account: Account, change: Change, what: &str, now: Timestamp) -> Result<(), CommandError> {
    let email = Email::to_find(&account.email)?;
    let db = account.database.open().await?;
    let user = users::find(&db, &email).await?.ok_or_else(|| unknown(&email))?;
    users::change(&db, &user, change, &Actor::operator(now)).await?;
    eprintln!("{} {what}.", isolated(&shown(email.as_str())));
    Ok(())
}

/// The refusal for an email address that nobody has.
pub fn unknown(email: &Email) -> CommandError {
    CommandError(format!("there is no account {}. `keyfob user list` shows all.", email.as_str()))
}
