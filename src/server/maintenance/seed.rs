//! Sample users, keys and employees, for benchmarks and demos.

use secrecy::SecretString;

use crate::error::AppError;
use crate::model::employees::EmployeeSpec;
use crate::model::time::Timestamp;
use crate::server::auth::key_format::GeneratedKey;
use crate::server::auth::{key_format, random};
use crate::server::db::bulk;
use crate::server::db::bulk::Value;
use crate::server::db::fold::fold;
use crate::server::db::{Db, Tx};

/// How much to add.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    pub users: u32,
    pub keys_per_user: u32,
    pub employees_per_user: u32,
}

/// How many users are written in one transaction: few enough to let others write in between.
const BATCH_SIZE: u32 = 500;

/// Adds users with keys and employees. Calls `made` after each batch with the number of users and their keys. The accounts
/// have no password, so nobody can sign in to them.
pub async fn seed(
    db: &Db,
    (amount, brand): (Amount, &str),
    now: Timestamp,
    mut made: impl FnMut(u32, Vec<SecretString>),
) -> Result<(), AppError> {
    let samples = crate::server::employees::samples();
    let mut left = amount.users;
    while left > 0 {
        let batch = left.min(BATCH_SIZE);
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
        let user = random::make_id(now);
        let email = format!("{user}@example.com");
        let (id, at) = (user.as_str(), now);
        self.users.push([id.into(), email.into(), "".into(), "none".into(), false.into(), at.into(), at.into()]);
        for n in 1..=amount.keys_per_user {
            let GeneratedKey { key, prefix, digest } = key_format::make_key(brand);
            let name = format!("Key {n}");
            self.keys.push([
                random::make_id(now).into(),
                id.into(),
                fold(&name).into(),
                name.into(),
                prefix.into(),
                digest.into(),
                "full".into(),
                at.into(),
            ]);
            self.secrets.push(key);
        }
        let people = samples.iter().cycle().zip(1_i64..).take(usize::try_from(amount.employees_per_user).unwrap_or(0));
        for (EmployeeSpec { name, department, salary }, n) in people {
            self.employees.push([
                random::make_id(now).into(),
                id.into(),
                name.as_str().into(),
                fold(name.as_str()).into(),
                department.as_str().into(),
                (salary.amount() + 10 * n).into(),
                at.into(),
                at.into(),
            ]);
        }
    }

    async fn insert(&mut self, tx: &mut Tx) -> Result<(), AppError> {
        let users = "INSERT INTO users (id, email, name, password_hash, superuser, created_at, updated_at) ";
        let keys = "INSERT INTO keys (id, user_id, name_folded, name, prefix, digest, access, created_at) ";
        let employees = "INSERT INTO employees (id, owner_id, name, name_folded, department, salary, created_at, \
                         updated_at) ";
        bulk::insert_rows(tx, (users, ""), &self.users).await?;
        bulk::insert_rows(tx, (keys, ""), &self.keys).await?;
        Ok(bulk::insert_rows(tx, (employees, ""), &self.employees).await?)
    }
}
