//! The directory beside a database that is a list in memory, and what callers may call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::config::testing::config;
use crate::limits::{Limiter, Scope};
use crate::money::Money;
use crate::store::{Batch, Changes, Edit, Snapshot, Store, StoreError, Total};

/// A database that several directories share.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    state: Mutex<(i64, Vec<(i64, Edit)>)>,
    questions: AtomicUsize,
    pub(crate) is_down: AtomicBool,
}

impl Memory {
    fn up(&self) -> Result<(), StoreError> {
        match self.is_down.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("it is down".to_owned())),
            false => Ok(()),
        }
    }

    fn since(&self, version: i64) -> Result<Changes, StoreError> {
        self.up()?;
        let state = self.state.lock().unwrap();
        let edits = state.1.iter().filter(|(at, _)| *at > version).map(|(_, edit)| edit.clone()).collect();
        Ok(Changes { version: state.0, edits })
    }
}

impl Store for Memory {
    fn load(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        async {
            let changes = self.since(0)?;
            let mut roster = Roster::default();
            roster.apply(changes.edits);
            let keys = roster.keys().map(|caller| caller.key.clone()).collect();
            let users = roster.users().map(|user| User::clone(user)).collect();
            let teams = roster.teams().map(|team| Team::clone(team)).collect();
            Ok(Snapshot { version: changes.version, keys, users, teams })
        }
        .boxed()
    }

    fn changes_since(&self, version: i64) -> BoxFuture<'_, Result<Changes, StoreError>> {
        async move {
            self.questions.fetch_add(1, Ordering::SeqCst);
            self.since(version)
        }
        .boxed()
    }

    fn write<'a>(&'a self, edits: &'a [Edit]) -> BoxFuture<'a, Result<i64, StoreError>> {
        async {
            self.up()?;
            let mut state = self.state.lock().unwrap();
            state.0 += 1;
            let version = state.0;
            state.1.extend(edits.iter().map(|edit| (version, edit.clone())));
            Ok(version)
        }
        .boxed()
    }

    fn totals(&self) -> BoxFuture<'_, Result<Vec<Total>, StoreError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn record<'a>(&'a self, _batch: &'a Batch) -> BoxFuture<'a, Result<(), StoreError>> {
        async { Ok(()) }.boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async { self.up() }.boxed()
    }
}

fn hash(number: u32) -> KeyHash {
    KeyHash::of(&number.to_be_bytes())
}

fn key(number: u32) -> Key {
    Key { hash: hash(number), ..Key::default() }
}

fn put(key: Key) -> Edit {
    Edit::PutKey(Box::new(key))
}

async fn change(directory: &Directory, edits: Vec<Edit>) -> Result<(), StoreError> {
    directory.change(|_| Ok((edits, ()))).await
}

#[tokio::test(start_paused = true)]
async fn a_key_is_known_here_at_once_and_elsewhere_when_somebody_comes_with_it() {
    let store = Arc::new(Memory::default());
    let here = Directory::open(store.clone()).await.unwrap();
    let there = Directory::open(store.clone()).await.unwrap();

    change(&here, vec![put(key(1))]).await.unwrap();

    assert!(here.find(&hash(1)).await.unwrap().is_some());
    assert!(there.find(&hash(1)).await.unwrap().is_some());
    assert!(there.find(&hash(2)).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_deleted_is_gone_here_at_once_and_elsewhere_within_a_second() {
    let store = Arc::new(Memory::default());
    let here = Directory::open(store.clone()).await.unwrap();
    change(&here, vec![put(key(1))]).await.unwrap();
    let there = Directory::open(store.clone()).await.unwrap();

    change(&here, vec![Edit::DeleteKey(hash(1))]).await.unwrap();

    assert!(here.find(&hash(1)).await.unwrap().is_none());
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(there.find(&hash(1)).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn who_was_made_anew_between_two_looks_at_the_database_has_spent_nothing() {
    let store = Arc::new(Memory::default());
    let made = |second| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
    let user = |second| User { id: "u".to_owned(), created_at: made(second), ..User::default() };
    let (scope, five) = (Scope::User("u".into()), "5".parse::<Money>().unwrap());
    let (directory, limiter) = (Directory::open(store.clone()).await.unwrap(), Arc::new(Limiter::default()));
    directory.tell(limiter.clone());
    for (second, left) in [(1, five), (2, Money::ZERO)] {
        limiter.know(&[Total { scope: scope.clone(), since: None, spent: five }]);
        // The first is only changed.
        store.write(&[Edit::PutUser(Box::new(user(1)))]).await.unwrap();
        directory.catch_up().await.unwrap();
        store.write(&[Edit::PutUser(Box::new(user(second)))]).await.unwrap();
        directory.catch_up().await.unwrap();
        assert_eq!(limiter.spent(&scope, None, SystemTime::now()), left);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_wrong_keys_costs_the_database_few_questions() {
    let store = Arc::new(Memory::default());
    let directory = Directory::open(store.clone()).await.unwrap();
    let began = tokio::time::Instant::now();

    for wave in 0..20 {
        let flood = (0..500).map(|number| {
            let directory = directory.clone();
            async move { directory.find(&hash(wave * 1000 + number)).await.unwrap().is_none() }
        });
        assert!(futures_util::future::join_all(flood).await.into_iter().all(|unknown| unknown));
    }

    let seconds = began.elapsed().as_secs_f64();
    let asked = store.questions.load(Ordering::SeqCst);
    assert!(asked as f64 <= seconds * 20.0 + 2.0, "{asked} questions in {seconds} s");
}

#[tokio::test(start_paused = true)]
async fn without_the_database_known_keys_go_on_and_nothing_can_be_said_of_others() {
    let store = Arc::new(Memory::default());
    let directory = Directory::open(store.clone()).await.unwrap();
    change(&directory, vec![put(key(1))]).await.unwrap();

    store.is_down.store(true, Ordering::SeqCst);

    assert!(directory.find(&hash(1)).await.unwrap().is_some());
    assert!(matches!(directory.find(&hash(2)).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(change(&directory, vec![put(key(3))]).await, Err(StoreError::Unavailable(_))));
    store.is_down.store(false, Ordering::SeqCst);
    assert!(directory.find(&hash(2)).await.unwrap().is_none());
    assert!(directory.find(&hash(3)).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_starts_while_the_database_is_down_knows_its_keys_when_it_is_back() {
    let store = Arc::new(Memory::default());
    change(&Directory::open(store.clone()).await.unwrap(), vec![put(key(1))]).await.unwrap();
    store.is_down.store(true, Ordering::SeqCst);
    let directory = Directory::open(store.clone()).await.unwrap();
    assert!(directory.find(&hash(1)).await.is_err());

    store.is_down.store(false, Ordering::SeqCst);

    assert!(directory.find(&hash(1)).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_database_that_goes_back_in_time_is_read_anew() {
    let store = Arc::new(Memory::default());
    let directory = Directory::open(store.clone()).await.unwrap();
    change(&directory, vec![put(key(1))]).await.unwrap();
    change(&directory, vec![put(key(2))]).await.unwrap();

    {
        let mut state = store.state.lock().unwrap();
        state.0 = 1;
        state.1.truncate(1);
    }

    assert!(directory.find(&hash(3)).await.unwrap().is_none());
    assert!(directory.find(&hash(1)).await.unwrap().is_some());
    assert!(directory.find(&hash(2)).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_side_by_side_is_not_lost() {
    let store = Arc::new(Memory::default());
    let directories = [Directory::open(store.clone()).await.unwrap(), Directory::open(store.clone()).await.unwrap()];
    change(&directories[0], vec![put(key(1))]).await.unwrap();

    let changes = (0..100).map(|number: usize| {
        let directory = directories[number % 2].clone();
        async move {
            let add = |roster: &Roster| {
                let mut key = roster.key(&hash(1)).unwrap().key.clone();
                key.models.push(number.to_string());
                Ok::<_, StoreError>((vec![put(key)], ()))
            };
            directory.change(add).await.unwrap();
        }
    });
    futures_util::future::join_all(changes).await;

    change(&directories[0], vec![put(key(2))]).await.unwrap();
    let models = directories[0].find(&hash(1)).await.unwrap().unwrap().key.models.len();
    assert_eq!(models, 100);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_team_or_a_user_reaches_their_keys() {
    let store = Arc::new(Memory::default());
    let directory = Directory::open(store).await.unwrap();
    let own = Key { team_id: Some("t".to_owned()), user_id: Some("u".to_owned()), ..key(1) };
    let team = |blocked| Edit::PutTeam(Box::new(Team { id: "t".to_owned(), blocked, ..Team::default() }));
    change(&directory, vec![put(own), team(false)]).await.unwrap();
    let barred = async || directory.find(&hash(1)).await.unwrap().unwrap().barred(SystemTime::now());
    assert_eq!(barred().await, None);

    change(&directory, vec![team(true)]).await.unwrap();
    assert_eq!(barred().await, Some(Barred::Team("t".to_owned())));

    let role = Some(PROXY_ADMIN.to_owned());
    let user = User { id: "u".to_owned(), role, ..User::default() };
    change(&directory, vec![team(false), Edit::PutUser(Box::new(user))]).await.unwrap();
    let caller = directory.find(&hash(1)).await.unwrap().unwrap();
    assert_eq!((caller.role(), caller.barred(SystemTime::now())), (Some(PROXY_ADMIN), None));

    change(&directory, vec![Edit::DeleteTeam("t".to_owned())]).await.unwrap();
    assert_eq!(barred().await, Some(Barred::NoTeam("t".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_keys_made_one_after_another_take_no_time() {
    let directory = Directory::open(Arc::new(Memory::default())).await.unwrap();
    let began = std::time::Instant::now();
    let mut roster = Roster::default();
    for number in 0..10_000 {
        directory.callers_for_tests().change(roster.apply(vec![put(key(number))]));
    }
    // A copy of all keys each time would be fifty million of them: more than ten seconds in a build without optimization.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(directory.find(&hash(9_999)).await.unwrap().is_some());
}

#[test]
fn a_key_ends_in_the_moment_it_was_given() {
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    let caller = Caller::new(Key { expires: Some(end), ..key(1) }, None, None);

    assert_eq!(caller.barred(end - Duration::from_millis(1)), None);
    assert_eq!(caller.barred(end), Some(Barred::Expired(end, end)));
}

#[test]
fn a_hash_is_read_as_it_is_written() {
    let text = hash(1).to_string();
    assert_eq!(KeyHash::parse(&text), Some(hash(1)));
    for wrong in [&text[1..], "", &format!("{}+f", &text[2..]), &"é".repeat(32)] {
        assert_eq!(KeyHash::parse(wrong), None, "{wrong}");
    }
}

const MODELS: &str = "
model_list:
  - {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o, mock_response: hi}, model_info: {id: the-id}}
  - {model_name: claude, litellm_params: {model: openai/c, mock_response: hi}, model_info: {access_groups: [beta, all]}}
  - {model_name: 'openai/*', litellm_params: {model: 'openai/*', mock_response: hi}, model_info: {access_groups: [wild]}}
  - {model_name: openai/plain, litellm_params: {model: openai/plain, mock_response: hi}}
router_settings: {model_group_alias: {fast: gpt-4o, hidden: {model: claude, hidden: true}}}
";

fn list(models: &[&str]) -> Vec<String> {
    models.iter().map(|model| (*model).to_owned()).collect()
}

#[test]
fn a_list_names_models_wildcards_groups_and_aliases() {
    let config = config(MODELS);
    for (models, model, allowed) in [
        (&[][..], "anything", true),
        (&["*"], "anything", true),
        (&["all-proxy-models"], "anything", true),
        (&["all-team-models"], "anything", true),
        (&["no-default-models"], "gpt-4o", false),
        (&["gpt-4o"], "gpt-4o", true),
        (&["gpt-4o"], "gpt-4o-mini", false),
        (&["gpt-4o"], "claude", false),
        // Another name of the same group, either way round, and a deployment of it.
        (&["gpt-4o"], "fast", true),
        (&["fast"], "fast", true),
        (&["fast"], "gpt-4o", false),
        (&["gpt-4o"], "the-id", true),
        (&["claude"], "the-id", false),
        (&["claude"], "hidden", true),
        // Wildcards.
        (&["openai/*"], "openai/gpt-4o", true),
        (&["openai/*"], "gpt-4o-mini", true),
        (&["openai/*"], "anthropic/x", false),
        (&["openai/*"], "claude", false),
        (&["gpt-*"], "gpt-4o", true),
        // Access groups: of the deployments that would serve it.
        (&["beta"], "claude", true),
        (&["beta"], "hidden", true),
        (&["beta"], "gpt-4o", false),
        (&["wild"], "openai/gpt-4o-mini", true),
        (&["wild"], "gpt-4o-mini", true),
        (&["wild"], "openai/plain", false),
        (&["wild"], "gpt-4o", false),
    ] {
        let caller = Caller::new(Key { models: list(models), ..Key::default() }, None, None);
        assert_eq!(caller.model(model, &config).is_ok(), allowed, "{models:?} {model}");
    }
}

#[test]
fn a_team_or_else_the_user_has_a_list_too() {
    let config = config(MODELS);
    for (key, team, user, model, denied) in [
        (&[][..], Some(&["claude"][..]), &[][..], "gpt-4o", Some("team")),
        (&[], Some(&["claude"]), &[], "claude", None),
        (&["gpt-4o"], Some(&["claude"]), &[], "gpt-4o", Some("team")),
        (&["gpt-4o"], Some(&["claude"]), &[], "claude", Some("key")),
        (&["all-team-models"], Some(&["claude"]), &[], "claude", None),
        (&["all-team-models"], Some(&["claude"]), &[], "gpt-4o", Some("team")),
        // The user's list is for keys of no team.
        (&[], Some(&[]), &["claude"], "gpt-4o", None),
        (&[], None, &["claude"], "gpt-4o", Some("user")),
        (&[], None, &["no-default-models"], "gpt-4o", Some("user")),
        (&[], None, &["claude"], "claude", None),
    ] {
        let key = Key { models: list(key), team_id: team.map(|_| "t".to_owned()), ..Key::default() };
        let team = team.map(|models| Arc::new(Team { models: list(models), ..Team::default() }));
        let user = Arc::new(User { models: list(user), ..User::default() });
        let found = Caller::new(key, Some(user), team).model(model, &config).map(|_| ());
        let denied = denied.map_or(Ok(()), |whose| Err(Denied::Model { whose, model: model.to_owned() }));
        assert_eq!(found, denied, "{model}");
    }
}

#[test]
fn a_keys_alias_opens_nothing_that_its_team_may_not_have() {
    let config = config(MODELS);
    let aliases = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, model)| ((*name).to_owned(), (*model).to_owned())).collect()
    };
    for (key_aliases, team_aliases, model, target) in [
        (&[("mine", "claude")][..], &[][..], "mine", Some("claude")),
        (&[("mine", "gpt-4o")], &[], "mine", None),
        (&[], &[("ours", "gpt-4o")], "ours", Some("gpt-4o")),
        // A team's alias comes first, then the key's.
        (&[("gpt-4o", "claude")], &[("ours", "gpt-4o")], "ours", Some("claude")),
        (&[("claude", "gpt-4o")], &[], "claude", None),
        (&[], &[], "claude", Some("claude")),
    ] {
        let key = Key { aliases: aliases(key_aliases), team_id: Some("t".to_owned()), ..Key::default() };
        let team = Team { models: list(&["claude"]), aliases: aliases(team_aliases), ..Team::default() };
        let caller = Caller::new(key, None, Some(Arc::new(team)));
        let found = caller.model(model, &config).ok();
        assert_eq!(found.as_deref(), target, "{key_aliases:?} {team_aliases:?} {model}");
    }
}

#[test]
fn a_list_of_routes_names_paths_prefixes_and_groups() {
    for (routes, path, kind, allowed) in [
        (&[][..], "/anything", RouteKind::Call, true),
        (&["llm_api_routes"], "/v1/chat/completions", RouteKind::Call, true),
        (&["llm_api_routes"], "/key/generate", RouteKind::Management, false),
        (&["llm_api_routes"], "/key/info", RouteKind::Info, false),
        (&["info_routes"], "/key/info", RouteKind::Info, true),
        (&["info_routes"], "/v1/models", RouteKind::Models, true),
        (&["info_routes"], "/v1/chat/completions", RouteKind::Call, false),
        (&["management_routes"], "/key/generate", RouteKind::Management, true),
        (&["management_routes"], "/v1/chat/completions", RouteKind::Call, false),
        (&["/v1/embeddings"], "/v1/embeddings", RouteKind::Call, true),
        (&["/v1/embeddings"], "/v1/embeddings/x", RouteKind::Call, false),
        (&["/v1/*"], "/v1/embeddings", RouteKind::Call, true),
        (&["/v1/*"], "/embeddings", RouteKind::Call, false),
        (&["/engines/{model}/completions"], "/engines/gpt/completions", RouteKind::Call, true),
        (&["/engines/{model}/completions"], "/engines/gpt/chat/completions", RouteKind::Call, false),
    ] {
        let caller = Caller::new(Key { allowed_routes: list(routes), ..Key::default() }, None, None);
        assert_eq!(caller.route(path, kind).is_ok(), allowed, "{routes:?} {path}");
    }
}
