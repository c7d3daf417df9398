//! That a copy knows all tables of the migrations.

use keyfob::server::db::bulk::Kind as Holds;
use keyfob::server::maintenance::copy::TABLES;
use rstest_reuse::apply;

use super::is_postgres;
use crate::support::{Database, TestApp, each_database};

/// Fails if a migration adds a table or a column that a copy would leave behind: name it in `server/copy/tables.rs`.
#[apply(each_database)]
#[tokio::test]
async fn every_table_and_column_of_the_migrations_is_carried(database: Database) {
    let app = &TestApp::start(database).await;
    let mut real = app.texts(if is_postgres(app) {
        "SELECT CAST(table_name || '.' || column_name || ' ' || data_type AS TEXT) FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'"
    } else {
        "SELECT t.name || '.' || c.name || ' ' || lower(c.type) FROM sqlite_master t JOIN pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND t.name <> '_sqlx_migrations' AND t.name NOT LIKE 'sqlite_%'"
    }).await;
    let mut carried: Vec<_> = TABLES
        .iter()
        .flat_map(|table| {
            table.columns.iter().map(|column| {
                let kind = match column.kind {
                    Holds::Text => "text",
                    Holds::Number => "bigint",
                    Holds::Flag => "boolean",
                };
                format!("{}.{} {kind}", table.name, column.name)
            })
        })
        .collect();
    real.sort();
    carried.sort();
    assert_eq!(carried, real);
}

#[apply(each_database)]
#[tokio::test]
async fn tables_have_primary_keys_and_follow_their_references(database: Database) {
    let app = &TestApp::start(database).await;
    let place = |name: &str| TABLES.iter().position(|table| table.name == name).unwrap();
    let (references, keys) = if is_postgres(app) {
        (
            "SELECT CAST(conrelid::regclass AS TEXT) || ' ' || CAST(confrelid::regclass AS TEXT) FROM pg_constraint WHERE contype = 'f'",
            "SELECT DISTINCT CAST(conrelid::regclass AS TEXT) FROM pg_constraint WHERE contype = 'p'",
        )
    } else {
        (
            "SELECT t.name || ' ' || f.\"table\" FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) f WHERE t.type = 'table'",
            "SELECT DISTINCT t.name FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND c.pk > 0",
        )
    };
    let references = app.texts(references).await;
    assert!(references.len() >= 6, "{references:?}");
    for reference in references {
        let (table, other) = reference.split_once(' ').unwrap();
        assert!(place(other) < place(table), "{reference}");
    }
    let keys = app.texts(keys).await;
    for table in TABLES {
        assert!(keys.iter().any(|key| key == table.name), "{}", table.name);
    }
}
