//! Import of teams and memberships.

use std::collections::{HashMap, HashSet};

use super::dump::{DjangoMembership, DjangoTeam};
use super::report::RemarkKind;
use super::{ImportedTeam, ImportedUser, Importer};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::teams::{MAX_MEMBERS, MAX_TEAMS, Role, TeamId, slug};
use crate::model::text::short_text;
use crate::model::users::UserId;
use crate::server::audit;
use crate::server::audit::AuditTarget;
use crate::server::auth::random;
use crate::server::db::row::params;

impl Importer<'_> {
    pub(super) async fn add_teams(&mut self, teams: Vec<DjangoTeam>) -> Result<(), AppError> {
        for team in teams {
            if let Err(reason) = self.add_team(&team).await? {
                self.report.teams.skipped += 1;
                self.report.note(RemarkKind::Skipped, &team.place, &team.slug, reason);
            }
        }
        Ok(())
    }

    /// Adds a team, or says why not.
    async fn add_team(&mut self, team: &DjangoTeam) -> Result<Result<(), String>, AppError> {
        let slug = match slug(&team.slug) {
            Ok(slug) => slug,
            Err(sentence) => return Ok(Err(format!("its slug can't be used here. {sentence}"))),
        };
        let sql = "SELECT id FROM teams WHERE slug = $1";
        if self.tx.query_optional(sql, params![slug], |row| row.get::<TeamId>("id")).await?.is_some() {
            return Ok(Err("there is a team with this slug, which stays as it is".to_owned()));
        }
        let name = short_text(&team.name, "").unwrap_or_else(|_| slug.clone());
        let created_at = team.created_at.unwrap_or(self.by.at).min(self.by.at);
        let id = TeamId::parse(&random::make_id(created_at)).ok_or(AppError::Internal)?;
        let sql = "INSERT INTO teams (id, slug, name, created_at) VALUES ($1, $2, $3, $4)";
        self.tx.execute(sql, params![id, slug, name, created_at]).await?;
        let detail = "imported from Django".to_owned();
        let target = AuditTarget { team: Some(&id), subject: &slug, detail, ..AuditTarget::default() };
        audit::record(&mut self.tx, self.by, Action::TeamCreate, target).await?;
        self.report.teams.take([]);
        let place = team.place.clone();
        let added = ImportedTeam { id, slug, place, members: HashSet::new(), has_admin: false };
        self.teams.insert(team.reference.clone(), added);
        Ok(Ok(()))
    }

    pub(super) async fn add_memberships(&mut self, memberships: Vec<DjangoMembership>) -> Result<(), AppError> {
        let mut team_counts = HashMap::new();
        for membership in memberships {
            if let Err(reason) = self.add_membership(&membership, &mut team_counts).await? {
                self.report.memberships.skipped += 1;
                self.report.note(RemarkKind::Skipped, &membership.place, "", reason);
            }
        }
        Ok(())
    }

    /// Adds a membership, or says why not. `team_counts` has the number of teams of each user.
    async fn add_membership(
        &mut self,
        membership: &DjangoMembership,
        team_counts: &mut HashMap<UserId, i64>,
    ) -> Result<Result<(), String>, AppError> {
        let Some(Some(user)) = self.users.get(&membership.user).cloned() else {
            return Ok(Err("its user was not imported".to_owned()));
        };
        let Some(team) = self.teams.get_mut(&membership.team) else {
            return Ok(Err("its team was not imported".to_owned()));
        };
        if team.members.len() >= usize::try_from(MAX_MEMBERS).unwrap_or(usize::MAX) {
            return Ok(Err(format!("its team has {MAX_MEMBERS} members, which is the most")));
        }
        let teams = team_counts.entry(user.id.clone()).or_default();
        if *teams >= MAX_TEAMS {
            return Ok(Err(format!("its user is in {MAX_TEAMS} teams, which is the most")));
        }
        if !team.members.insert(user.id.clone()) {
            return Ok(Err("its user is in the team already".to_owned()));
        }
        *teams += 1;
        let role = Role::try_from(membership.role.clone()).unwrap_or_else(|_| {
            let reason = format!("the role {:?} is unknown; {} is a member", membership.role, user.email);
            self.report.note(RemarkKind::Note, &membership.place, &team.slug, reason);
            Role::Member
        });
        team.has_admin |= role == Role::Admin && user.active;
        let (id, slug) = (team.id.clone(), team.slug.clone());
        self.insert_membership(membership, (&id, &slug), (&user, role)).await?;
        self.report.memberships.take([]);
        Ok(Ok(()))
    }

    async fn insert_membership(
        &mut self,
        membership: &DjangoMembership,
        (team, slug): (&TeamId, &str),
        (user, role): (&ImportedUser, Role),
    ) -> Result<(), AppError> {
        let created_at = membership.created_at.unwrap_or(self.by.at).min(self.by.at);
        let sql = "INSERT INTO members (team_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)";
        self.tx.execute(sql, params![team, user.id, role, created_at]).await?;
        let detail = format!("{} as {}", user.email, role.as_str());
        let target =
            AuditTarget { user: Some(&user.id), team: Some(team), subject: slug, detail, ..AuditTarget::default() };
        audit::record(&mut self.tx, self.by, Action::TeamAdd, target).await
    }

    /// Notes the teams that nobody can manage.
    pub(super) fn note_teams_without_admin(&mut self) {
        let mut without: Vec<_> = self.teams.values().filter(|team| !team.has_admin).collect();
        without.sort_unstable_by(|one, other| one.slug.cmp(&other.slug));
        for team in without {
            let reason =
                format!("it has no admin; run keyfob team set-role --team {} --user EMAIL --role admin", team.slug);
            self.report.note(RemarkKind::Note, &team.place, &team.slug, reason);
        }
    }
}
