//! The data of a team's page.

use serde::{Deserialize, Serialize};

use super::keys::KeySlice;
use super::teams::{Member, Role, SentInvitation, Team};
use super::time::Timestamp;
use super::users::UserId;

/// A team with its members, and for its admins with its invitations and keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamPage {
    pub team: Team,
    /// The role of the signed-in user.
    pub role: Role,
    /// The signed-in user.
    pub me: UserId,
    /// All members, by email address.
    pub members: Vec<Member>,
    /// The open invitations, newest first. Empty for members who aren't admins.
    pub invitations: Vec<SentInvitation>,
    /// One page of the keys limited to the team. Empty for members who aren't admins.
    pub keys: KeySlice,
    /// The time by which the page shows the status of keys.
    pub now: Timestamp,
}
