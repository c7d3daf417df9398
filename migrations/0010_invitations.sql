-- Open invitations to teams, by email address: whether it has an account is not looked up. One that ends in any way is removed.
CREATE TABLE invitations (
    team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    inviter_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (team_id, email)
);
CREATE INDEX invitations_email ON invitations (email, created_at);
CREATE INDEX invitations_inviter ON invitations (inviter_id, team_id);

-- How many invitations an admin, and a team, have sent in the last hour. They hold these events alone, for an account can cause any
-- number of others.
CREATE INDEX audit_invites_actor ON audit (actor_id, id) WHERE action = 'team.invite';
CREATE INDEX audit_invites_team ON audit (team_id, id) WHERE action = 'team.invite';
