//! Every server function with a form that it takes, and things of a user to fill it with.

use keyfob::model::employees::Department::Hr;
use keyfob::model::employees::{EmployeeName, EmployeeSpec, OwnerId, Salary};
use keyfob::model::keys::KeyName;
use keyfob::server::auth::random::{make_id, make_request_id};

use super::{PASSWORD, TestApp};

/// What a server function may be called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    Everybody,
    Users,
    Superusers,
}

/// Path, for whom, a form that is taken, and the status for an id of somebody else. `@` marks a value of [`Belongings`].
#[rustfmt::skip]
pub const FUNCTIONS: [(&str, For, &str, u16); 48] = [
    ("/fn/sign_up", For::Everybody, "email=@new_email&password=@password&next=/teams", 0),
    ("/fn/sign_in", For::Everybody, "email=@email&password=@password&next=/teams", 0),
    ("/fn/sign_out", For::Everybody, "", 0),
    ("/fn/set_theme", For::Everybody, "theme=dark", 0),
    ("/fn/save_name", For::Users, "name=Somebody", 0),
    ("/fn/change_email", For::Users, "email=@new_email&password=@password", 0),
    ("/fn/delete_account", For::Users, "password=@password", 0),
    ("/fn/confirm_password", For::Users, "password=@password", 0),
    ("/fn/change_password", For::Users, "current=@password&new=four other words here", 0),
    ("/fn/list_sessions", For::Users, "", 0),
    ("/fn/end_session", For::Users, "id=@session", 404),
    ("/fn/end_other_sessions", For::Users, "", 0),
    ("/fn/list_activity", For::Users, "", 0),
    ("/fn/list_keys", For::Users, "query[state]=", 0),
    ("/fn/create_key", For::Users, "form[form_id]=@new_id&form[name]=ci&form[expires]=90&form[date]=&form[access]=full&form[team]=@team_id&form[owner]=", 400),
    ("/fn/create_key", For::Users, "form[form_id]=@new_id&form[name]=ci&form[expires]=90&form[date]=&form[access]=full&form[team]=&form[owner]=@nobody", 404),
    ("/fn/rotate_key", For::Users, "form[id]=@key&form[grace]=0&form[seen]=", 404),
    ("/fn/revoke_key", For::Users, "id=@key", 404),
    ("/fn/list_employees", For::Users, "team=@team&page=1", 404),
    ("/fn/add_employee", For::Users, "team=@team&form[name]=Grace&form[department]=hr&form[salary]=1", 404),
    ("/fn/edit_employee", For::Users, "id=@employee&form[name]=Grace&form[department]=hr&form[salary]=1", 404),
    ("/fn/edit_employee", For::Users, "team=@team&id=@team_employee&form[name]=Grace&form[department]=hr&form[salary]=1", 404),
    ("/fn/delete_employee", For::Users, "id=@employee", 404),
    ("/fn/delete_employee", For::Users, "team=@team&id=@team_employee", 404),
    ("/fn/load_sample_employees", For::Users, "team=@team", 404),
    ("/fn/list_teams", For::Users, "", 0),
    ("/fn/load_team", For::Users, "team=@team", 404),
    ("/fn/create_team", For::Users, "form[name]=New&form[slug]=@new_slug", 0),
    ("/fn/add_member", For::Users, "team=@team&email=@stranger&role=member", 404),
    ("/fn/cancel_invitation", For::Users, "team=@team&email=@guest", 404),
    ("/fn/list_invitations", For::Users, "", 0),
    ("/fn/accept_invitation", For::Users, "team=@inviting_team", 404),
    ("/fn/decline_invitation", For::Users, "team=@inviting_team", 404),
    ("/fn/set_role", For::Users, "team=@team&user=@member&role=admin", 404),
    ("/fn/remove_member", For::Users, "team=@team&user=@member", 404),
    ("/fn/revoke_team_key", For::Users, "team=@team&id=@team_key", 404),
    ("/admin/fn/find_keys", For::Superusers, "query[search]=&query[state]=&query[sort]=newest&query[after]=", 404),
    ("/admin/fn/edit_key", For::Superusers, "form[id]=@key&form[name]=renamed&form[expires]=keep&form[date]=&form[rate]=", 404),
    ("/admin/fn/revoke_keys", For::Superusers, "ids[0]=@key", 404),
    ("/admin/fn/find_users", For::Superusers, "search=&after=", 404),
    ("/admin/fn/change_user", For::Superusers, "id=@member&change=disable", 404),
    ("/admin/fn/delete_user", For::Superusers, "id=@member", 404),
    ("/admin/fn/add_api", For::Superusers, "form[slug]=@new_slug&form[name]=New&form[description]=&form[rate]=", 404),
    ("/admin/fn/edit_api", For::Superusers, "id=@api&form[name]=Renamed&form[description]=&form[rate]=5", 404),
    ("/admin/fn/remove_api", For::Superusers, "id=@api", 404),
    ("/admin/fn/add_scope", For::Superusers, "api=@api&name=pay&kind=write", 404),
    ("/admin/fn/remove_scope", For::Superusers, "id=@api_scope", 404),
    ("/admin/fn/find_events", For::Superusers, "query[action]=&query[who]=&query[from]=&query[to]=&query[before]=", 404),
];

/// One of each thing that a user has; by the names that [`FUNCTIONS`] has for them.
pub struct Belongings(Vec<(&'static str, String)>);

/// The names of things that another user must not reach by their ids.
pub const REACHED_BY_ID: [&str; 11] = [
    "key",
    "prefix",
    "employee",
    "session",
    "user",
    "team",
    "team_id",
    "team_key",
    "team_employee",
    "member",
    "inviting_team",
];

impl Belongings {
    /// Makes them. The user is an admin of a new team with this slug.
    pub async fn of(app: &TestApp, name: &str, slug: &str) -> Self {
        let (member, deputy) = (format!("{slug}-member"), format!("{slug}-deputy"));
        let team = app.team(slug, name, &[&member, &deputy]).await;
        // Another admin, so that the user can leave.
        let deputy_id = app.user(&deputy).await.id;
        app.sql(&format!("UPDATE members SET role = 'admin' WHERE user_id = '{deputy_id}'")).await;
        let key_name = || KeyName::parse(&format!("{name}s own key")).unwrap();
        let key = app.make_key_that(name, |spec| spec.name = key_name()).await.facts;
        let team_key = app.make_key_that(name, |spec| (spec.name, spec.team) = (key_name(), Some(team.id.clone())));
        let spec = || EmployeeSpec {
            name: EmployeeName::parse(&format!("{name}s own employee")).unwrap(),
            department: Hr,
            salary: Salary::new(5).unwrap(),
        };
        let (user, now) = (app.user(name).await, app.state.now());
        let employee = app.employee_of(&OwnerId::from(&user.id), spec()).await;
        let team_employee = app.employee_of(&OwnerId::from(&team.id), spec()).await;
        // The user's own team has invited somebody, and another team the user.
        let (host, guest) = (format!("{slug}-host"), format!("guest-of-{slug}@example.com"));
        let inviting = app.team(&host, &format!("{slug}-host-admin"), &[]).await;
        app.invite(&team, name, &guest).await;
        app.invite(&inviting, &format!("{slug}-host-admin"), &user.email).await;
        app.signed_in(name).await;
        let newest = format!("SELECT MAX(id) FROM sessions WHERE user_id = '{}'", user.id);
        let new: String = String::from_utf8_lossy(&make_request_id()).chars().take(12).collect();
        let stranger = app.user(&format!("stranger-{new}")).await.email;
        // Nobody's, for superusers to change.
        let api = app.api(&format!("api-{slug}"), &[("see", false)]).await;
        let api_scope = app.texts(&format!("SELECT id FROM api_scopes WHERE api_id = '{api}'")).await.remove(0);
        Self(vec![
            ("api", api),
            ("api_scope", api_scope),
            ("key", key.id.to_string()),
            ("prefix", key.prefix),
            ("employee", employee),
            ("session", app.texts(&newest).await.remove(0)),
            ("user", user.id.to_string()),
            ("team", slug.to_owned()),
            ("team_id", team.id.to_string()),
            ("team_key", team_key.await.facts.id.to_string()),
            ("team_employee", team_employee),
            ("member", app.user(&member).await.id.to_string()),
            ("inviting_team", host),
            ("guest", guest),
            ("email", user.email),
            ("key_name", format!("{name}s own key")),
            ("employee_name", format!("{name}s own employee")),
            ("stranger", stranger),
            ("password", PASSWORD.to_owned()),
            ("nobody", String::new()),
            ("new_id", make_id(now)),
            ("new_email", format!("new-{new}@example.com")),
            ("new_slug", format!("new-{new}")),
        ])
    }

    /// The one of this name.
    #[track_caller]
    pub fn get(&self, name: &str) -> &str {
        &self.0.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("nobody has a {name}")).1
    }

    /// A form, filled with these.
    pub fn fill<'a>(&'a self, form: &'a str) -> Vec<(&'a str, &'a str)> {
        let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name, value.strip_prefix('@').map_or(value, |thing| self.get(thing)))).collect()
    }
}

/// The parameters of a form that say which thing it is about.
pub fn ids(form: &str) -> Vec<&str> {
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let by_id = |value: &str| {
        let thing = value.strip_prefix('@');
        thing.is_some_and(|thing| REACHED_BY_ID.contains(&thing) || thing == "nobody")
    };
    pairs.filter(|(_, value)| by_id(value)).map(|(name, _)| name).collect()
}
