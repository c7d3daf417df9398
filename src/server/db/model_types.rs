//! The types of `model/` as columns and parameters. A new type of column is a line here.

use sqlx::error::BoxDynError;

use super::row::{Column, FromColumn, Kind, Param, ToParam, parse_text};
use crate::model::apis::{ApiId, ScopeId};
use crate::model::employees::{Department, EmployeeId, EmployeeName, OwnerId, Salary};
use crate::model::keys::{Access, IdempotencyKey, KeyId, KeyName};
use crate::model::teams::{Role, TeamId};
use crate::model::time::Timestamp;
use crate::model::users::{SessionId, UserId};

/// Types that are stored as text, with the function that reads it.
macro_rules! text_columns {
    ($($type:ty: $parse:expr;)*) => {
        $(impl FromColumn for $type {
            fn from_column(column: Column<'_>) -> Result<Option<Self>, BoxDynError> {
                parse_text(column, $parse)
            }
        })*
    };
}

text_columns! {
    UserId: Self::parse;
    SessionId: Self::parse;
    TeamId: Self::parse;
    KeyId: Self::parse;
    EmployeeId: Self::parse;
    KeyName: |name| Some(Self::stored(name));
    EmployeeName: |name| Some(Self::stored(name));
    Department: |name| Self::parse(name).ok();
    Role: |name| Self::try_from(name.to_owned()).ok();
    ApiId: Self::parse;
    ScopeId: Self::parse;
    Access: Self::from_stored;
}

macro_rules! text_params {
    ($($type:ty),*) => {
        $(impl ToParam for $type {
            const KIND: Kind = Kind::Text;

            fn to_param(&self) -> Param<'_> {
                Param::Text(self.as_str())
            }
        })*
    };
}

text_params!(
    UserId,
    SessionId,
    TeamId,
    KeyId,
    EmployeeId,
    OwnerId,
    IdempotencyKey,
    ApiId,
    ScopeId,
    KeyName,
    EmployeeName,
    Department,
    Role
);

impl FromColumn for Timestamp {
    fn from_column(column: Column<'_>) -> Result<Option<Self>, BoxDynError> {
        Ok(i64::from_column(column)?.map(Self::from_millis))
    }
}

impl ToParam for Timestamp {
    const KIND: Kind = Kind::Number;

    fn to_param(&self) -> Param<'_> {
        Param::Number(self.as_millis())
    }
}

impl FromColumn for Salary {
    fn from_column(column: Column<'_>) -> Result<Option<Self>, BoxDynError> {
        let amount = i64::from_column(column)?.map(Self::new);
        Ok(amount.transpose()?)
    }
}

impl ToParam for Salary {
    const KIND: Kind = Kind::Number;

    fn to_param(&self) -> Param<'_> {
        Param::Number(self.amount())
    }
}
