//! Authentication: API keys, sessions and passwords.

pub mod api_key_header;
pub mod client_ip;
pub mod device_cookie;
pub mod django_hash;
mod extract;
mod guards;
pub mod key_format;
pub mod login;
pub mod login_attempt;
pub mod login_throttle;
pub mod origin;
pub mod own_account;
pub mod page_user;
pub mod password;
mod password_hash;
pub mod random;
mod session_memo;
pub mod sessions;
pub mod tenant;

pub use self::extract::*;
pub use self::guards::*;
pub use self::session_memo::SessionMemo;
