//! Made-up users, keys and employees, for benchmarks and demos.

use secrecy::SecretString;

use super::auth::secrets::{self, MadeKey};
use super::db::{Db, Tx};
use super::rows::{Value, insert};
use crate::error::AppError;
use crate::model::employees::{Department, EmployeeSpec};
use crate::model::time::Timestamp;

/// How much to make up.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// Users.
    pub users: u32,
    /// Keys for each of them.
    pub keys_per_user: u32,
    /// Employees of each of them.
    pub employees_per_user: u32,
}

/// Users that are written in one transaction: enough to make its cost small, few enough to let others write between.
const BATCH: u32 = 500;

/// Makes users up, each with keys and employees. `made` is told each batch: how many users, and their keys. The accounts
/// have no password: nobody can sign in to them.
///
/// # Errors
/// If the database does not answer. What was committed until then stays.
pub async fn seed(
    db: &Db,
    (amount, brand): (Amount, &str),
    now: Timestamp,
    mut made: impl FnMut(u32, Vec<SecretString>),
) -> Result<(), AppError> {
    let samples = super::employees::samples();
    let mut left = amount.users;
    while left > 0 {
        let batch = left.min(BATCH);
        let mut rows = Rows::default();
        for n in 0..batch {
            // A millisecond each: ids of one instant are in no order, and an index that is filled at random is slow.
            rows.add_user(amount, brand, &samples, now.plus(i64::from(n) - i64::from(left)));
        }
        let mut tx = db.begin().await?;
        rows.insert(&mut tx).await?;
        tx.commit().await?;
        made(batch, rows.secrets);
        left -= batch;
    }
    Ok(())
}

#[derive(Default)]
struct Rows {
    users: Vec<[Value; 7]>,
    keys: Vec<[Value; 8]>,
    employees: Vec<[Value; 8]>,
    secrets: Vec<SecretString>,
}

impl Rows {
    fn add_user(&mut self, amount: Amount, brand: &str, samples: &[EmployeeSpec], now: Timestamp) {
        use Value::{Flag, Number, Text};
        let at = || Number(now.as_millis());
        let user = secrets::make_id(now);
        let email = format!("{user}@example.com");
        self.users.push([
            Text(user.clone()),
            Text(email),
            Text(String::new()),
            Text("none".into()),
            Flag(false),
            at(),
            at(),
        ]);
        for n in 1..=amount.keys_per_user {
            let MadeKey { key, prefix, digest } = secrets::make_key(brand);
            let (id, name, access) = (secrets::make_id(now), format!("Key {n}"), "full".to_owned());
            let folded = name.to_lowercase();
            self.keys.push([
                Text(id),
                Text(user.clone()),
                Text(name),
                Text(folded),
                Text(prefix),
                Text(digest),
                Text(access),
                at(),
            ]);
            self.secrets.push(key);
        }
        let people = samples.iter().cycle().zip(1_i64..).take(usize::try_from(amount.employees_per_user).unwrap_or(0));
        for (EmployeeSpec { name, department, salary }, n) in people {
            let (folded, department) = (name.folded(), Department::as_str(*department).to_owned());
            self.employees.push([
                Text(secrets::make_id(now)),
                Text(user.clone()),
                Text(name.as_str().to_owned()),
                Text(folded),
                Text(department),
                Number(salary.amount() + 10 * n),
                at(),
                at(),
            ]);
        }
    }

    async fn insert(&mut self, tx: &mut Tx) -> Result<(), AppError> {
        let users = "INSERT INTO users (id, email, name, password_hash, superuser, created_at, updated_at) ";
        let keys = "INSERT INTO keys (id, user_id, name, name_folded, prefix, digest, access, created_at) ";
        let employees = "INSERT INTO employees (id, owner_id, name, name_folded, department, salary, created_at, \
                         updated_at) ";
        insert(tx, users, &self.users).await?;
        insert(tx, keys, &self.keys).await?;
        insert(tx, employees, &self.employees).await?;
        Ok(())
    }
}
