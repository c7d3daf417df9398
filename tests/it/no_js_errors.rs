//! Without JavaScript, the page that a form came from shows the error of the form, and what was typed.

use keyfob::model::employees::Department::Hr;
use regex::Regex;
use rstest_reuse::apply;

use crate::keys::form_id;
use crate::support::{Answer, Client, Database, PASSWORD, TestApp, each_database};

/// Sends a form and opens the page that the browser is redirected to.
async fn submit_and_follow(client: &Client, page: &str, function: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = client.submit(&format!("http://localhost:8000{page}"), function, fields).await;
    answer.goes_to(&format!("http://localhost:8000{page}"));
    follow(client, &answer, page).await
}

async fn follow(client: &Client, answer: &Answer, page: &str) -> Answer {
    client.keeping(answer).open(page).await.is(200)
}

/// The content of the field with this id.
fn content(page: &Answer, id: &str) -> String {
    let field = Regex::new(&format!("<input[^>]* id=\"{id}\"[^>]*>")).unwrap();
    let field = field.find(&page.body).unwrap_or_else(|| panic!("no {id}: {}", page.body)).as_str();
    let value = Regex::new(" value=\"([^\"]*)\"").unwrap().captures(field);
    value.map(|value| value[1].to_owned()).unwrap_or_default()
}

/// The options that are selected and the boxes that are ticked.
fn chosen(page: &Answer) -> Vec<String> {
    let chosen = Regex::new("<(?:option|input)[^>]* value=\"([^\"]*)\"[^>]* (?:selected|checked)").unwrap();
    chosen.captures_iter(&page.body).map(|found| found[1].to_owned()).collect()
}

#[apply(each_database)]
#[tokio::test]
async fn failed_revocation_is_shown_on_the_page_it_came_from(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, theirs) = (app.signed_in("ada").await, app.make_key("bob").await.facts.id);
    let page = format!("/profile?revoke={theirs}");
    let answer = submit_and_follow(&ada, &page, "revoke_key", &[("id", theirs.as_str())]).await;
    assert!(answer.body.contains("This no longer exists."), "{}", answer.body);
    assert_eq!(app.number("SELECT COUNT(*) FROM keys WHERE revoked_at IS NULL").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn failed_deletion_is_shown_on_the_page_it_came_from(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, theirs) = (app.signed_in("ada").await, app.employee("bob", ("Edsger Dijkstra", Hr, 1)).await);
    let page = format!("/employees?delete={theirs}");
    let answer = submit_and_follow(&ada, &page, "delete_employee", &[("id", &theirs)]).await;
    assert!(answer.body.contains("This no longer exists."), "{}", answer.body);
    assert_eq!(app.number("SELECT COUNT(*) FROM employees").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn failed_sign_in_keeps_the_email_address_and_no_password(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    let (browser, email) = (app.browser(), "ada+\"<~;&é@example.com");
    for (function, page) in [("sign_in", "/sign-in"), ("sign_up", "/sign-up")] {
        let fields = [("email", email), ("password", "pw 12"), ("next", "/teams?a=1")];
        let answer = browser.submit(&format!("http://localhost:8000{page}"), function, &fields).await;
        assert!(!answer.header("set-cookie").contains("pw"), "{answer:?}");
        let next = format!("{page}?next=/teams%3Fa%3D1");
        answer.goes_to(&format!("http://localhost:8000{next}"));
        let shown = follow(&browser, &answer, &next).await;
        assert_eq!(content(&shown, "email"), "ada+&quot;&lt;~;&amp;é@example.com");
        assert_eq!(content(&shown, "password"), "");
        // Without the cookie nothing is typed, and another form takes nothing from it.
        assert_eq!(content(&browser.open(&next).await, "email"), "");
        let other = if page == "/sign-in" { "/sign-up" } else { "/sign-in" };
        assert_eq!(content(&follow(&browser, &answer, other).await, "email"), "");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn no_password_is_kept(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let (wrong, short) = ("wrong-secret", "shrt");
    for (function, fields) in [
        ("change_password", [("current", wrong), ("new", short)]),
        ("change_password", [("current", PASSWORD), ("new", short)]),
        ("change_email", [("email", "grace@example.com"), ("password", wrong)]),
        ("delete_account", [("password", wrong), ("", "")]),
    ] {
        let answer = ada.submit("http://localhost:8000/profile", function, &fields).await;
        answer.goes_to("http://localhost:8000/profile");
        let cookie = answer.header("set-cookie");
        assert!(cookie.contains(function) && !cookie.contains("secret"), "{function}: {cookie}");
        assert!(!cookie.contains(short) && !cookie.contains(PASSWORD), "{function}: {cookie}");
        assert_eq!(cookie.contains("grace"), function == "change_email", "{cookie}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn failed_edit_shows_what_was_typed(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, id) = (app.signed_in("ada").await, app.employee("ada", ("Edsger Dijkstra", Hr, 1)).await);
    let page = format!("/employees?edit={id}");
    let typed =
        [("id", id.as_str()), ("form[name]", "Barbara Liskov"), ("form[department]", "sales"), ("form[salary]", "-5")];
    let shown = submit_and_follow(&ada, &page, "edit_employee", &typed).await;
    assert_eq!(
        (content(&shown, "employee-name"), content(&shown, "employee-salary")),
        ("Barbara Liskov".into(), "-5".into())
    );
    assert!(chosen(&shown).contains(&"sales".to_owned()), "{:?}", chosen(&shown));
    // The form of another employee, and another page, show nothing of it.
    let other = app.employee("ada", ("Alan Turing", Hr, 1)).await;
    let answer = ada.submit(&format!("http://localhost:8000{page}"), "edit_employee", &typed).await;
    let shown = follow(&ada, &answer, &format!("/employees?edit={other}")).await;
    assert_eq!(
        (content(&shown, "employee-name"), content(&shown, "employee-salary")),
        ("Alan Turing".into(), "1".into())
    );
    assert!(!shown.body.contains("Liskov") && shown.header("set-cookie").contains("Max-Age=0"), "{}", shown.body);
    // Pictures that a browser looks for leave it.
    assert!(ada.keeping(&answer).open("/apple-touch-icon.png").await.all("set-cookie").is_empty());
    // A key is not put into the page or the cookie, and what is too long for a cookie is left out.
    let key = app.make_key("bob").await.key;
    for name in [key.clone(), "x".repeat(3900), "🔑".repeat(400)] {
        let typed = [("id", id.as_str()), ("form[name]", &name), ("form[department]", "sales"), ("form[salary]", "-5")];
        let answer = ada.submit(&format!("http://localhost:8000{page}"), "edit_employee", &typed).await;
        assert!(
            !answer.header("set-cookie").contains(&name) && answer.header("set-cookie").len() <= 4000,
            "{answer:?}"
        );
        let shown = follow(&ada, &answer, &page).await;
        assert!(!shown.body.contains(&name) && content(&shown, "employee-salary") == "-5", "{}", shown.body);
    }
    // Values of the greatest length fit, in any script.
    let name = "鍵".repeat(100);
    let typed = [("id", id.as_str()), ("form[name]", &name), ("form[department]", "sales"), ("form[salary]", "-5")];
    let shown = submit_and_follow(&ada, &page, "edit_employee", &typed).await;
    assert_eq!(content(&shown, "employee-name"), name);
}

/// Another account signed in meanwhile: what the first one typed is not shown to it.
#[apply(each_database)]
#[tokio::test]
async fn form_of_another_account_shows_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, bob) = (app.user("ada").await, app.signed_in("bob").await);
    let fields =
        [("page_user", ada.id.as_str()), ("form_id", "x"), ("name", "Private"), ("expires", "90"), ("access", "full")];
    let answer = bob.with("accept", "text/html").form("/profile/keys", &fields).await.is(409);
    assert!(!answer.header("set-cookie").contains("Private"), "{answer:?}");
    assert!(!follow(&bob, &answer, "/profile?create=").await.body.contains("Private"));
}

#[apply(each_database)]
#[tokio::test]
async fn form_of_a_key_that_was_not_created_shows_what_was_chosen(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let form = form_id(&ada).await;
    let fields = [
        ("form_id", form.as_str()),
        ("name", ""),
        ("expires", "date"),
        ("date", "2999-01-02"),
        ("access", "only"),
        ("scopes[]", "employees:read"),
    ];
    let answer = ada.with("accept", "text/html").form("/profile/keys", &fields).await.is(400);
    let shown = follow(&ada, &answer, "/profile?create=").await;
    assert_eq!(content(&shown, "key-date"), "2999-01-02");
    for value in ["date", "only", "employees:read"] {
        assert!(chosen(&shown).contains(&value.to_owned()), "{value}: {:?}", chosen(&shown));
    }
    assert!(!chosen(&shown).contains(&"employees:write".to_owned()), "{:?}", chosen(&shown));
    assert!(shown.body.contains("field-error"), "{}", shown.body);
    // Of more than fits, the shortest are kept.
    let scopes: Vec<_> = (0..150).map(|n| format!("billing:scope-of-a-registered-api-{n}")).collect();
    let mut many = fields.to_vec();
    many.extend(scopes.iter().map(|scope| ("scopes[]", scope.as_str())));
    let answer = ada.with("accept", "text/html").form("/profile/keys", &many).await.is(400);
    let shown = follow(&ada, &answer, "/profile?create=").await;
    assert_eq!(content(&shown, "key-date"), "2999-01-02");
}

#[apply(each_database)]
#[tokio::test]
async fn form_of_a_key_that_was_not_rotated_shows_its_error_and_no_other_does(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let [one, other] = [app.make_key("ada").await.facts.id, app.make_key("ada").await.facts.id];
    let fields = [("id", one.as_str()), ("grace", "7d"), ("seen", "5")];
    let answer = ada.with("accept", "text/html").form("/profile/keys/rotate", &fields).await.is(400);
    let sentence = "was given a new secret already";
    let shown = follow(&ada, &answer, &format!("/profile?rotate={one}")).await;
    assert!(shown.body.contains(sentence) && chosen(&shown).contains(&"7d".to_owned()), "{}", shown.body);
    let shown = follow(&ada, &answer, &format!("/profile?rotate={other}")).await;
    assert!(!shown.body.contains(sentence) && !chosen(&shown).contains(&"7d".to_owned()), "{}", shown.body);
}
