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
    /// List all teams: slug, members, active admins, creation date, name
    List(Database),
    /// Set a user's role in a team, and add the user if needed
    ///
    /// Use this for a team whose only admin has left or is disabled. The last active admin of a team cannot become a member.
    SetRole {
        #[command(flatten)]
        database: Database,
        /// Slug of the team, such as red-team
        #[arg(long)]
        team: String,
        /// Email address of the user
        #[arg(long)]
        user: String,
        /// Role: `admin` or `member`
        #[arg(long, value_parser = |raw: &str| Role::try_from(raw.to_owned()).map_err(|_| "use admin or member"))]
        role: Role,
    },
}

pub async fn run(command: TeamCommand) -> Result<(), CommandError> {
    match command {
        TeamCommand::List(database) => list(&database).await,
        TeamCommand::SetRole { database, team, user, role } => {
            let email = Email::to_find(&user)?;
            let db = database.open().await?;
            let found = operator::find(&db, &team).await?;
            let team = found.ok_or_else(|| format!("there is no team {team}. `keyfob team list` lists all teams."))?;
            let user = users::find(&db, &email).await?.ok_or_else(|| super::users::unknown_user(&email))?;
            operator::set_role(&db, &team, &user, role, &Actor::operator(Clock::system().now())).await?;
            eprintln!("{} is now {} of {}.", isolated(&shown(&user.email)), role.as_str(), team.slug);
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
            let (admins, created) = (team.admins.as_deref().unwrap_or("no active admin"), team.created_at.iso_date());
            println!("{}\t{members}\t{}\t{created}\t{}", team.slug, shown(admins), shown(&team.name));
        }
    }
}
