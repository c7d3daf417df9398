//! `keyfob team`

use clap::Subcommand;
use keyfob::model::teams::Role;
use keyfob::model::text::{isolated, shown};
use keyfob::model::users::Email;
use keyfob::server::audit::Actor;
use keyfob::server::clock::Clock;
use keyfob::server::teams::operator;
use keyfob::server::users;

use super::{CommandError, Database};

#[derive(Subcommand)]
pub enum TeamCommand {
    /// List all teams: slug, members, active admins, day of creation, name
    List(Database),
    /// Give a user a role in a team; one who is not in the team is added
    ///
    /// For a team whose only admin has left the company or whose account is disabled. The last active admin of a team cannot
    /// be made a member.
    SetRole {
        #[command(flatten)]
        database: Database,
        /// The team's part of an address, such as red-team
        #[arg(long)]
        team: String,
        /// The user's email address
        #[arg(long)]
        user: String,
        /// `admin` or `member`
        #[arg(long, value_parser = |raw: &str| Role::try_from(raw.to_owned()).map_err(|_| "use admin or member"))]
        role: Role,
    },
}

/// # Errors
/// If the command was refused.
pub async fn run(command: TeamCommand) -> Result<(), CommandError> {
    match command {
        TeamCommand::List(database) => list(&database).await,
        TeamCommand::SetRole { database, team, user, role } => {
            let email = Email::to_find(&user)?;
            let db = database.open().await?;
            let found = operator::find(&db, &team).await?;
            let team = found.ok_or_else(|| format!("there is no team {team}. `keyfob team list` shows all."))?;
            let user = users::find(&db, &email).await?.ok_or_else(|| super::users::unknown(&email))?;
            operator::set_role(&db, &team, &user, role, &Actor::operator(Clock::system().now())).await?;
            eprintln!("{} is {} of {}.", isolated(&shown(&user.email)), role.as_str(), team.slug);
            Ok(())
        }
    }
}

async fn list(database: &Database) -> Result<(), CommandError> {
    let (db, mut after) = (database.open().await?, String::new());
    loop {
        let teams = operator::list(&db, &after).await?;
        let Some(last) = teams.last() else { return Ok(()) };
        after.clone_from(&last.slug);
        for team in teams {
            let members = if team.members == 1 { "1 member".to_owned() } else { format!("{} members", team.members) };
            let (admins, made) = (team.admins.as_deref().unwrap_or("no active admin"), team.created_at.iso_date());
            println!("{}\t{members}\t{}\t{made}\t{}", team.slug, shown(admins), shown(&team.name));
        }
    }
}
