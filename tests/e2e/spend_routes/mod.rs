//! What calls have cost, as routes: the same promises on SQLite and on Postgres.

mod aggregates;
mod exports;
mod ledger;
mod logs;

/// Makes two tests of each function that takes a database.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::super::ledger::sqlite()).await;
            })*
        }
    };
}
use on_both;
