//! What calls have cost, as routes: the same promises on SQLite and on Postgres.

mod aggregates;
mod calls;
mod exports;
pub(crate) mod ledger;
mod logs;

/// Makes two tests of each function that takes a database. Where there is no Postgres, its own say so.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::super::ledger::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                if let Some(database) = super::super::ledger::postgres().await {
                    super::$test(database).await;
                }
            })*
        }
    };
}
use on_both;
