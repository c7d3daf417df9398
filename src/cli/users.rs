//! `keyfob user`

use clap::{Args, Subcommand};
use keyfob::model::text::{isolated, shown};
use keyfob::model::time::Timestamp;
use keyfob::model::users::{Email, User, display_name};
use keyfob::server::audit::Actor;
use keyfob::server::auth::password::Passwords;
use keyfob::server::clock::Clock;
use keyfob::server::config::public_url;
use keyfob::server::db::Db;
use keyfob::server::users;
use keyfob::server::users::{AccountChange, NewUser};
use secrecy::ExposeSecret;
use url::Url;

use super::{CommandError, Database, password_from_stdin};

#[derive(Subcommand)]
pub enum UserCommand {
    /// Create a user
    Create {
        #[command(flatten)]
        database: Database,
        /// Email address
        #[arg(long)]
        email: String,
        /// Display name
        #[arg(long, default_value = "")]
        name: String,
        /// Grant superuser rights
        #[arg(long)]
        superuser: bool,
        /// Read the password from the first line of standard input
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// List all users: email address, role, state, creation date, name
    List(Database),
    /// Set a user's password and end their sessions
    SetPassword {
        #[command(flatten)]
        account: Account,
        /// Read the password from the first line of standard input
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Change a user's email address and end their sessions
    SetEmail {
        #[command(flatten)]
        account: Account,
        /// New email address
        #[arg(long)]
        new_email: String,
    },
    /// Print a link with which a user sets a new password
    ///
    /// Prints the link alone on standard output. It works once, for 24 hours, and replaces an earlier link. Give it to the user on a
    /// way that only they can read. The new password ends all sessions of the user; API keys keep working.
    ResetLink {
        #[command(flatten)]
        account: Account,
        /// Address that people type; the link begins with it
        #[arg(long, env = "KEYFOB_PUBLIC_URL", default_value = "http://localhost:8000", value_parser = public_url)]
        public_url: Url,
    },
    /// Disable a user: end their sessions and reject their keys
    Disable(Account),
    /// Enable a disabled user
    Enable(Account),
    /// Grant superuser rights
    Promote(Account),
    /// Withdraw superuser rights; the last superuser keeps them
    Demote(Account),
    /// Delete a user with keys, sessions and employees; this cannot be undone
    ///
    /// Teams in which nobody else is are deleted too. A user who is the only active admin of a team with other members cannot be
    /// deleted; neither can the last superuser. The audit keeps what happened, without the user's names and addresses.
    Delete(Account),
}

#[derive(Args)]
pub struct Account {
    #[command(flatten)]
    database: Database,
    /// Email address of the user
    #[arg(long)]
    email: String,
}

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
            let created =
                users::create(&database.open().await?, &Passwords::default(), new, &Actor::operator(now)).await?;
            eprintln!("Created the user {}.", isolated(&created.user.email));
        }
        UserCommand::List(database) => {
            let show = |account: keyfob::model::users::Account| {
                let role = if account.user.superuser { "superuser" } else { "user" };
                let state = if account.disabled_at.is_some() { "disabled" } else { "active" };
                let (created, user) = (account.created_at.iso_date(), account.user);
                println!("{}\t{role}\t{state}\t{created}\t{}", shown(&user.email), shown(&user.name));
            };
            users::list(&database.open().await?, show).await?;
        }
        UserCommand::SetPassword { account, .. } => {
            let (email, password) = (Email::to_find(&account.email)?, password_from_stdin()?);
            let db = account.database.open().await?;
            let by = Actor::operator(now);
            if !users::set_password(&db, &Passwords::default(), &email, password, &by).await? {
                return Err(unknown_user(&email));
            }
            eprintln!("Changed the password of {}.", isolated(&shown(email.as_str())));
        }
        UserCommand::SetEmail { account, new_email } => set_email(account, &new_email, now).await?,
        UserCommand::ResetLink { account, public_url } => {
            let (db, user) = account.open().await?;
            let origin = public_url.origin().ascii_serialization();
            let link = users::resets::create_link(&db, &user, &origin, &Actor::operator(now)).await?;
            println!("{}", link.url.expose_secret());
        }
        UserCommand::Delete(account) => {
            let (db, user) = account.open().await?;
            users::delete(&db, &user, &Actor::operator(now)).await?;
            eprintln!("Deleted the user {}.", isolated(&shown(&user.email)));
        }
        UserCommand::Disable(account) => change(account, AccountChange::Disable, "is now disabled", now).await?,
        UserCommand::Enable(account) => change(account, AccountChange::Enable, "is now enabled", now).await?,
        UserCommand::Promote(account) => change(account, AccountChange::Promote, "is now a superuser", now).await?,
        UserCommand::Demote(account) => change(account, AccountChange::Demote, "is no longer a superuser", now).await?,
    }
    Ok(())
}

impl Account {
    /// Opens the database and finds the user.
    async fn open(&self) -> Result<(Db, User), CommandError> {
        let email = Email::to_find(&self.email)?;
        let db = self.database.open().await?;
        let user = users::find(&db, &email).await?.ok_or_else(|| unknown_user(&email))?;
        Ok((db, user))
    }
}

async fn set_email(account: Account, new_email: &str, now: Timestamp) -> Result<(), CommandError> {
    let new = Email::parse(new_email)?;
    let (db, user) = account.open().await?;
    users::set_email(&db, &user, &new, &Actor::operator(now)).await?;
    eprintln!("{} is now {}.", isolated(&shown(&user.email)), isolated(new.as_str()));
    Ok(())
}

async fn change(account: Account, change: AccountChange, outcome: &str, now: Timestamp) -> Result<(), CommandError> {
    let (db, user) = account.open().await?;
    users::change(&db, &user, change, &Actor::operator(now)).await?;
    eprintln!("{} {outcome}.", isolated(&shown(&user.email)));
    Ok(())
}

/// Returns the error for an unknown email address.
pub fn unknown_user(email: &Email) -> CommandError {
    CommandError(format!("there is no account {}. `keyfob user list` lists all accounts.", email.as_str()))
}
