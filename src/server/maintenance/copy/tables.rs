//! Every table of the migrations with all its columns. A test compares them with the real ones.

use crate::server::db::bulk::Kind;

/// A table and the statements to read and write it whole.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns, in the order of the statements.
    pub columns: &'static [Column],
    pub(super) count: &'static str,
    pub(super) select: &'static str,
    pub(super) insert: &'static str,
}

/// A column of a table.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

impl Table {
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> + Clone {
        self.columns.iter().map(|column| column.kind)
    }
}

macro_rules! tables {
    ($($table:ident { $first:ident: $kind:ident $(, $column:ident: $kinds:ident)* $(,)? })*) => {
        /// All tables, each after those that it refers to.
        pub static TABLES: &[Table] = &[$(Table {
            name: stringify!($table),
            columns: &[
                Column { name: stringify!($first), kind: Kind::$kind },
                $(Column { name: stringify!($column), kind: Kind::$kinds }),*
            ],
            count: concat!("SELECT COUNT(*) AS number FROM ", stringify!($table)),
            select: concat!(
                "SELECT ", stringify!($first), $(", ", stringify!($column),)* " FROM ", stringify!($table)
            ),
            insert: concat!(
                "INSERT INTO ", stringify!($table), " (", stringify!($first), $(", ", stringify!($column),)* ") "
            ),
        }),*];
    };
}

tables! {
    users {
        id: Text, email: Text, name: Text, password_hash: Text, superuser: Flag, disabled_at: Number, created_at: Number,
        updated_at: Number, name_folded: Text, imported_cost: Number,
    }
    sessions {
        id: Text, digest: Text, user_id: Text, user_agent: Text, created_at: Number, seen_at: Number, confirmed_at: Number,
    }
    teams { id: Text, slug: Text, name: Text, created_at: Number }
    members { team_id: Text, user_id: Text, role: Text, created_at: Number }
    invitations {
        team_id: Text, email: Text, role: Text, inviter_id: Text, created_at: Number, expires_at: Number,
    }
    keys {
        id: Text, user_id: Text, form_id: Text, name: Text, prefix: Text, digest: Text, access: Text, created_at: Number,
        expires_at: Number, revoked_at: Number, team_id: Text, old_digest: Text, old_expires_at: Number,
        old_used_at: Number, rotated_at: Number, used_at: Number, used_ip: Text, used_agent: Text, leaked_at: Number,
        rate: Number, name_folded: Text, api_id: Text,
    }
    imported_keys { prefix: Text, key_id: Text, placeholder: Text, hash: Text }
    apis {
        id: Text, slug: Text, name: Text, description: Text, rate: Number, created_at: Number, updated_at: Number,
    }
    api_scopes { id: Text, api_id: Text, name: Text, writes: Flag, created_at: Number }
    key_scopes { key_id: Text, scope_id: Text }
    api_usage { api_id: Text, day: Number, allowed: Number, refused: Number }
    usage {
        key_id: Text, day: Number, allowed: Number, refused: Number, used_at: Number, used_ip: Text, used_agent: Text,
    }
    employees {
        id: Text, owner_id: Text, name: Text, name_folded: Text, department: Text, salary: Number, created_at: Number,
        updated_at: Number,
    }
    audit {
        id: Text, at: Number, action: Text, actor_id: Text, actor: Text, ip: Text, user_id: Text, key_id: Text,
        team_id: Text, subject: Text, detail: Text,
    }
    failed_sign_ins {
        digest: Text, user_id: Text, ip: Text, failures: Number, recorded: Number, failed_at: Number,
    }
    password_resets { user_id: Text, digest: Text, created_at: Number, expires_at: Number }
    deletions { owner_id: Text, deleted_at: Number }
    locks { name: Text }
}
