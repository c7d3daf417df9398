//! `keyfob user`

use clap::{Args, Subcommand};
use keyfob::model::text::{isolated, shown};
use keyfob::model::time::Timestamp;
use keyfob::model::users::{Email, display_name};
use keyfob::server::audit::Actor;
use keyfob::server::auth::password::Passwords;
use keyfob::server::clock::Clock;
use keyfob::server::users;
use keyfob::server::users::{AccountChange, NewUser};

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
    /// Disable a user: end their sessions and reject their keys
    Disable(Account),
    /// Enable a disabled user
    Enable(Account),
    /// Grant superuser rights
    Promote(Account),
    /// Withdraw superuser rights; the last superuser keeps them
    Demote(Account),
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
        UserCommand::Disable(account) => change(account, AccountChange::Disable, "is now disabled", now).await?,
        UserCommand::Enable(account) => change(account, AccountChange::Enable, "is now enabled", now).await?,
        UserCommand::Promote(account) => change(account, AccountChange::Promote, "is now a superuser", now).await?,
        UserCommand::Demote(account) => change(account, AccountChange::Demote, "is no longer a superuser", now).await?,
    }
    Ok(())
}

async fn change(account: Account, change: AccountChange, outcome: &str, now: Timestamp) -> Result<(), CommandError> {
    let email = Email::to_find(&account.email)?;
    let db = account.database.open().await?;
    let user = users::find(&db, &email).await?.ok_or_else(|| unknown_user(&email))?;
    users::change(&db, &user, change, &Actor::operator(now)).await?;
    eprintln!("{} {outcome}.", isolated(&shown(email.as_str())));
    Ok(())
}

/// Returns the error for an unknown email address.
pub fn unknown_user(email: &Email) -> CommandError {
    CommandError(format!("there is no account {}. `keyfob user list` lists all accounts.", email.as_str()))
}
