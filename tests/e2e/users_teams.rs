//! Users, teams, and what each may manage.

use ai_api_e2e::{Builder, Client, Gateway};
use serde_json::{Value, json};

fn gateway() -> Builder {
    let canned = json!({"mock_response": "hello"});
    Gateway::builder().model_with("gpt-4o", "openai/gpt-4o", "http://127.0.0.1:9", canned)
}

async fn post(client: &Client, path: &str, body: Value) -> Value {
    let answer = client.post(path, &body).await;
    assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
    answer.json()
}

async fn refused(client: &Client, path: &str, body: Value) -> (u16, String) {
    let answer = client.post(path, &body).await;
    (answer.status, answer.message())
}

/// Somebody with this role, and a client with its key.
async fn user(admin: &Client, id: &str, role: &str) -> Client {
    let made = post(admin, "/user/new", json!({"user_id": id, "user_role": role})).await;
    admin.with_key(made["key"].as_str().expect("a key"))
}

#[tokio::test]
async fn a_user_has_a_key_and_takes_its_keys_along() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let made = post(
        &admin,
        "/user/new",
        json!({"user_email": "a@example.com", "user_role": "internal_user", "max_budget": 3, "models": ["gpt-4o"]}),
    )
    .await;
    let (id, key) = (made["user_id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    assert_eq!(
        (&made["max_budget"], &made["user_role"], &made["teams"]),
        (&json!(3.0), &json!("internal_user"), &json!([]))
    );
    let own = admin.with_key(key);
    assert_eq!(own.chat("gpt-4o", "hi").await.status, 200);

    let info = admin.get(&format!("/user/info?user_id={id}")).await.ok();
    assert_eq!(info["user_info"]["user_email"], json!("a@example.com"));
    assert_eq!((info["keys"].as_array().map(Vec::len), &info["teams"]), (Some(1), &json!([])));
    let changed = post(&admin, "/user/update", json!({"user_id": id, "max_budget": null, "user_alias": "Ann"})).await;
    assert_eq!((&changed["data"]["max_budget"], &changed["data"]["user_alias"]), (&json!(null), &json!("Ann")));
    let list = admin.get("/user/list?user_email=EXAMPLE.com").await.ok();
    assert_eq!(
        (&list["total"], &list["users"][0]["key_count"], &list["page_size"]),
        (&json!(1), &json!(1), &json!(25))
    );

    for (body, param) in [
        (json!({"user_id": id}), "user_id"),
        (json!({"user_email": "A@example.com"}), "user_email"),
        (json!({"user_role": "king"}), "user_role"),
        (json!({"max_budget": -1}), "max_budget"),
    ] {
        let answer = admin.post("/user/new", &body).await;
        assert_eq!((answer.status, &answer.error()["param"]), (400, &json!(param)), "{body}");
    }
    assert_eq!(post(&admin, "/user/delete", json!({"user_ids": [id]})).await, json!(1));
    assert_eq!(own.chat("gpt-4o", "hi").await.status, 401);
    assert_eq!(admin.get(&format!("/user/info?user_id={id}")).await.status, 404);
    assert_eq!(refused(&admin, "/user/delete", json!({"user_ids": [id]})).await.0, 404);
}

#[tokio::test]
async fn a_team_has_members_and_takes_its_keys_along() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let body = json!({
        "team_id": "crew", "team_alias": "The crew", "max_budget": 7, "rpm_limit": 5, "metadata": {"a": 1},
        "members_with_roles": [{"role": "admin", "user_id": "ann"}], "own_field": [1, 2],
    });
    let made = post(&admin, "/team/new", body.clone()).await;
    assert_eq!(
        (&made["team_alias"], &made["max_budget"], &made["own_field"]),
        (&json!("The crew"), &json!(7.0), &json!([1, 2]))
    );
    assert_eq!(made["members_with_roles"], json!([{"user_id": "ann", "user_email": null, "role": "admin"}]));
    assert_eq!(admin.post("/team/new", &body).await.status, 400);

    let added = post(
        &admin,
        "/team/member_add",
        json!({"team_id": "crew", "member": [{"role": "user", "user_id": "bob"}, {"role": "user", "user_email": "c@d.e"}]}),
    )
    .await;
    assert_eq!(added["members_with_roles"].as_array().map(Vec::len), Some(3));
    assert_eq!(added["updated_users"].as_array().map(Vec::len), Some(2));
    assert_eq!(admin.get("/user/info?user_id=bob").await.ok()["user_info"]["teams"], json!(["crew"]));
    let body = json!({"team_id": "crew", "member": {"user_id": "x"}, "max_budget_in_team": 5});
    assert_eq!(admin.post("/team/member_add", &body).await.error()["param"], json!("max_budget_in_team"));

    let key = post(&admin, "/key/generate", json!({"team_id": "crew", "user_id": "bob"})).await;
    let app = admin.with_key(key["key"].as_str().expect("a key"));
    assert_eq!(app.chat("gpt-4o", "hi").await.status, 200);
    post(&admin, "/team/block", json!({"team_id": "crew"})).await;
    assert!(app.chat("gpt-4o", "hi").await.message().contains("Team=crew is blocked"));
    assert_eq!(app.chat("gpt-4o", "hi").await.status, 401);
    post(&admin, "/team/unblock", json!({"team_id": "crew"})).await;
    assert_eq!(app.chat("gpt-4o", "hi").await.status, 200);

    let changed =
        post(&admin, "/team/update", json!({"team_id": "crew", "models": ["other"], "own_field": null})).await;
    assert_eq!((&changed["data"]["models"], &changed["data"]["own_field"]), (&json!(["other"]), &json!(null)));
    assert_eq!(app.chat("gpt-4o", "hi").await.status, 403);

    let info = admin.get("/team/info?team_id=crew").await.ok();
    assert_eq!((&info["team_info"]["rpm_limit"], info["keys"].as_array().map(Vec::len)), (&json!(5), Some(1)));
    assert_eq!(admin.get("/team/list").await.ok()[0]["team_id"], json!("crew"));
    assert_eq!(admin.get("/v2/team/list?team_alias=crew").await.ok()["total"], json!(1));

    post(&admin, "/team/member_delete", json!({"team_id": "crew", "user_id": "bob"})).await;
    assert_eq!(app.chat("gpt-4o", "hi").await.status, 401);
    let last = post(&admin, "/key/generate", json!({"team_id": "crew"})).await;
    assert_eq!(post(&admin, "/team/delete", json!({"team_ids": ["crew"]})).await, json!({"deleted_teams": ["crew"]}));
    assert_eq!(admin.with_key(last["key"].as_str().expect("a key")).get("/v1/models").await.status, 401);
    assert_eq!(admin.get("/team/info?team_id=crew").await.status, 404);
}

#[tokio::test]
async fn each_role_manages_what_is_its_own() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let nobody = post(&admin, "/key/generate", json!({})).await;
    let nobody = admin.with_key(nobody["key"].as_str().expect("a key"));
    let boss = user(&admin, "boss", "proxy_admin").await;
    let viewer = user(&admin, "viewer", "proxy_admin_viewer").await;
    let own = user(&admin, "own", "internal_user").await;
    let onlooker = user(&admin, "onlooker", "internal_user_viewer").await;
    for (path, of_nobody, of_viewer, of_own, of_onlooker) in [
        ("/key/info", 200, 200, 200, 200),
        ("/key/list", 403, 200, 200, 200),
        ("/user/list", 401, 200, 401, 401),
        ("/user/info?user_id=own", 403, 200, 200, 403),
        ("/team/list", 401, 200, 200, 200),
        ("/health", 401, 200, 401, 401),
    ] {
        assert_eq!(boss.get(path).await.status, 200, "boss {path}");
        assert_eq!(nobody.get(path).await.status, of_nobody, "nobody {path}");
        assert_eq!(viewer.get(path).await.status, of_viewer, "viewer {path}");
        assert_eq!(own.get(path).await.status, of_own, "own {path}");
        assert_eq!(onlooker.get(path).await.status, of_onlooker, "onlooker {path}");
    }
    for (path, body, of_own) in [
        ("/key/generate", json!({"user_id": "own"}), 200),
        ("/key/generate", json!({"user_id": "boss"}), 403),
        ("/user/new", json!({}), 401),
        ("/user/update", json!({"user_id": "own", "max_budget": 1000}), 401),
        ("/team/new", json!({}), 401),
        ("/team/delete", json!({"team_ids": ["x"]}), 401),
        ("/config/reload", json!({}), 401),
    ] {
        for (who, client, status) in
            [("nobody", &nobody, 401), ("viewer", &viewer, 401), ("onlooker", &onlooker, 401), ("own", &own, of_own)]
        {
            assert_eq!(client.post(path, &body).await.status, status, "{who} {path} {body}");
        }
    }
    let (_, message) = refused(&nobody, "/key/generate", json!({})).await;
    assert!(
        message.starts_with("Authentication Error, Only proxy admin can be used to generate, delete, update info for new keys/users/teams. Route=/key/generate."),
        "{message}"
    );
    assert_eq!(nobody.post("/key/generate", &json!({})).await.error()["type"], json!("auth_error"));
    post(&boss, "/team/new", json!({"team_id": "by-the-boss"})).await;
}

#[tokio::test]
async fn who_looks_after_keys_of_its_own_lifts_nothing_that_was_laid_on_them() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let own = user(&admin, "own", "internal_user").await;
    user(&admin, "other", "internal_user").await;
    let mine = post(&own, "/key/generate", json!({"key_alias": "mine", "max_budget": 5})).await;
    assert_eq!((&mine["user_id"], &mine["created_by"]), (&json!("own"), &json!("own")));
    let theirs = post(&admin, "/key/generate", json!({"user_id": "other"})).await;
    post(&own, "/key/update", json!({"key": mine["token"], "key_alias": "renamed", "models": ["gpt-4o"]})).await;
    assert_eq!(own.get("/key/list").await.ok()["total_count"], json!(2));
    assert_eq!(own.get(&format!("/key/info?key={}", theirs["token"].as_str().expect("a token"))).await.status, 403);
    assert_eq!(own.get("/key/info?key=sk-there-is-no-such-key").await.status, 403);

    let token = &mine["token"];
    for body in [
        json!({"key": token, "max_budget": 500}),
        json!({"key": token, "max_budget": null}),
        json!({"key": token, "rpm_limit": 500}),
        json!({"key": token, "blocked": false}),
        json!({"key": token, "allowed_routes": ["/metrics"]}),
        json!({"key": token, "user_id": "other"}),
        json!({"key": token, "metadata": {"model_rpm_limit": {"gpt-4o": 1000}}}),
        json!({"key": theirs["token"], "key_alias": "stolen"}),
    ] {
        assert_eq!(own.post("/key/update", &body).await.status, 403, "{body}");
    }
    assert_eq!(own.post("/key/update", &json!({"key": token, "spend": 0})).await.status, 401);
    for body in [
        json!({"allowed_routes": ["/metrics"]}),
        json!({"key_type": "management"}),
        json!({"permissions": {"x": true}}),
    ] {
        assert_eq!(own.post("/key/generate", &body).await.status, 403, "{body}");
    }
    // What a key is limited to would be gone with the first key that it makes.
    let limited = admin.with_key(mine["key"].as_str().expect("a key"));
    for (path, body) in [
        ("/key/generate", json!({})),
        ("/key/update", json!({"key": token, "models": []})),
        ("/key/regenerate", json!({"key": token})),
    ] {
        let (status, message) = refused(&limited, path, body).await;
        assert!(status == 403 && message.starts_with("A key with limits of its own"), "{path}: {status} {message}");
    }
    // A user_id that is nobody's is a note on a key, and no user.
    let noted = post(&admin, "/key/generate", json!({"user_id": "app"})).await;
    let noted = admin.with_key(noted["key"].as_str().expect("a key"));
    assert_eq!(noted.post("/key/generate", &json!({})).await.status, 401);
    assert_eq!(own.post("/key/block", &json!({"key": theirs["token"]})).await.status, 401);
    assert_eq!(own.post("/key/delete", &json!({"keys": [theirs["token"]]})).await.status, 403);
    post(&own, "/key/delete", json!({"keys": [token]})).await;
}

#[tokio::test]
async fn an_admin_of_a_team_looks_after_its_keys_and_members() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let lead = user(&admin, "lead", "internal_user").await;
    let member = user(&admin, "member", "internal_user").await;
    let members = json!([{"role": "admin", "user_id": "lead"}, {"role": "user", "user_id": "member"}]);
    post(&admin, "/team/new", json!({"team_id": "crew", "members_with_roles": members})).await;
    post(&admin, "/team/new", json!({"team_id": "others"})).await;

    let key = post(&lead, "/key/generate", json!({"team_id": "crew", "user_id": "member", "max_budget": 2})).await;
    post(&lead, "/key/update", json!({"key": key["token"], "max_budget": 4})).await;
    post(&lead, "/key/block", json!({"key": key["token"]})).await;
    assert_eq!(member.post("/key/unblock", &json!({"key": key["token"]})).await.status, 401);
    post(&lead, "/key/unblock", json!({"key": key["token"]})).await;
    post(&lead, "/team/member_add", json!({"team_id": "crew", "member": {"role": "user", "user_id": "new"}})).await;
    let (status, message) = refused(
        &member,
        "/team/member_add",
        json!({"team_id": "crew", "member": {"role": "admin", "user_id": "member"}}),
    )
    .await;
    assert_eq!(status, 403);
    assert!(message.starts_with("Call not allowed. User not proxy admin OR team admin."), "{message}");

    for body in [json!({"team_id": "others"}), json!({"team_id": "crew", "user_id": "lead"})] {
        assert_eq!(member.post("/key/generate", &body).await.status, 403, "{body}");
    }
    // Out of the team a key would be out of its limits.
    let own = post(&member, "/key/generate", json!({"team_id": "crew"})).await;
    assert_eq!(member.post("/key/update", &json!({"key": own["token"], "team_id": null})).await.status, 403);
    assert_eq!(member.get("/team/info?team_id=crew").await.ok()["keys"].as_array().map(Vec::len), Some(2));
    assert_eq!(member.get("/team/info?team_id=others").await.status, 403);
}

#[tokio::test]
async fn an_admin_of_a_team_gets_nobody_elses_rights_by_a_key() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let lead = user(&admin, "lead", "internal_user").await;
    for (id, role) in [("boss", "proxy_admin"), ("viewer", "proxy_admin_viewer"), ("member", "internal_user")] {
        user(&admin, id, role).await;
    }
    let members = json!([{"role": "admin", "user_id": "lead"}, {"role": "user", "user_id": "member"}]);
    post(&admin, "/team/new", json!({"team_id": "crew", "members_with_roles": members})).await;

    for id in ["boss", "viewer", "not-there-yet"] {
        let body = json!({"team_id": "crew", "user_id": id});
        assert_eq!(lead.post("/key/generate", &body).await.status, 403, "{body}");
        let key = post(&admin, "/key/generate", body).await;
        assert_eq!(lead.post("/key/regenerate", &json!({"key": key["token"]})).await.status, 403, "{id}");
    }
    for id in ["boss", "viewer"] {
        let key = post(&admin, "/key/generate", json!({"team_id": "crew", "user_id": id})).await;
        assert_eq!(lead.post("/key/update", &json!({"key": key["token"], "max_budget": 1})).await.status, 403, "{id}");
    }
    // One that it has the secret of becomes nobody's either.
    let known = post(&lead, "/key/generate", json!({"team_id": "crew", "user_id": "member"})).await;
    for id in ["boss", "not-there-yet"] {
        let body = json!({"key": known["token"], "user_id": id});
        assert_eq!(lead.post("/key/update", &body).await.status, 403, "{body}");
    }
    assert_eq!(lead.post("/key/regenerate", &json!({"key": known["token"]})).await.status, 403);
    post(&lead, "/key/update", json!({"key": known["token"], "max_budget": 1})).await;
    let of_team = post(&admin, "/key/generate", json!({"team_id": "crew"})).await;
    post(&lead, "/key/regenerate", json!({"key": of_team["token"]})).await;
    let own = post(&lead, "/key/generate", json!({"team_id": "crew"})).await;
    post(&lead, "/key/regenerate", json!({"key": own["token"]})).await;
}

#[tokio::test]
async fn a_key_makes_none_that_does_more_than_itself() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let own = user(&admin, "own", "internal_user").await;
    for body in [
        json!({"user_id": "own", "key_type": "management"}),
        json!({"user_id": "own", "allowed_routes": ["/key/generate", "/key/update"]}),
    ] {
        let bound = post(&admin, "/key/generate", body.clone()).await;
        let bound = admin.with_key(bound["key"].as_str().expect("a key"));
        let (status, message) = refused(&bound, "/key/generate", json!({})).await;
        assert!(status == 403 && message.starts_with("A key with limits of its own"), "{body}: {status} {message}");
    }
    let members = json!([{"role": "admin", "user_id": "own"}]);
    for id in ["crew", "others"] {
        post(&admin, "/team/new", json!({"team_id": id, "members_with_roles": members})).await;
    }
    let free = post(&own, "/key/generate", json!({})).await;
    let other = post(&own, "/key/generate", json!({"team_id": "others"})).await;
    let of_crew = post(&own, "/key/generate", json!({"team_id": "crew"})).await;
    let of_crew = admin.with_key(of_crew["key"].as_str().expect("a key"));

    // What is made with a key of a team is the team's.
    let made = post(&of_crew, "/key/generate", json!({})).await;
    assert_eq!(made["team_id"], json!("crew"));
    assert_eq!(of_crew.post("/key/generate", &json!({"team_id": "others"})).await.status, 403);
    for token in [&free["token"], &other["token"]] {
        for (path, body) in [
            ("/key/update", json!({"key": token, "key_alias": "x"})),
            ("/key/regenerate", json!({"key": token})),
            ("/key/delete", json!({"keys": [token]})),
        ] {
            assert_eq!(of_crew.post(path, &body).await.status, 403, "{path} {body}");
        }
    }
    post(&of_crew, "/key/delete", json!({"keys": [made["token"]]})).await;
}

#[tokio::test]
async fn nobody_learns_of_keys_of_others_more_than_that_they_are_in_the_team() {
    let gateway = gateway().start().await;
    let admin = gateway.client();
    let own = user(&admin, "own", "internal_user").await;
    let lead = user(&admin, "lead", "internal_user").await;
    post(&admin, "/key/generate", json!({"key_alias": "theirs"})).await;
    for (path, theirs, nobodys) in [
        ("/key/update", json!({"key_alias": "theirs"}), json!({"key_alias": "nobodys"})),
        ("/key/delete", json!({"key_aliases": ["theirs"]}), json!({"key_aliases": ["nobodys"]})),
    ] {
        let told = refused(&own, path, theirs).await;
        assert_eq!((told.0, &told), (403, &refused(&own, path, nobodys.clone()).await), "{path}");
        assert_eq!(admin.post(path, &nobodys).await.status, 404, "{path}");
    }
    let members = json!([{"role": "user", "user_id": "own"}, {"role": "admin", "user_id": "lead"}]);
    post(&admin, "/team/new", json!({"team_id": "crew", "members_with_roles": members})).await;
    let noted = json!({"team_id": "crew", "metadata": {"note": "private"}});
    let key = post(&admin, "/key/generate", noted).await;
    let token = key["token"].as_str().expect("a token");
    let itself = admin.with_key(key["key"].as_str().expect("a key"));
    for (who, client, told) in
        [("a member", &own, Value::Null), ("its admin", &lead, json!("private")), ("itself", &itself, json!("private"))]
    {
        let info = client.get(&format!("/key/info?key={token}")).await.ok();
        let infos = client.post("/v2/key/info", &json!({"keys": [token]})).await;
        let team = client.get("/team/info?team_id=crew").await.ok();
        assert_eq!(info["info"]["metadata"]["note"], told, "{who}");
        assert_eq!(team["keys"][0]["metadata"]["note"], told, "{who}");
        assert_eq!(infos.ok()["info"][0]["metadata"]["note"], told, "{who}");
    }
}

#[tokio::test]
async fn what_is_managed_is_in_the_log_with_who_did_it_and_without_keys() {
    let gateway = gateway().env("JSON_LOGS", "true").start().await;
    let admin = gateway.client();
    let own = user(&admin, "own", "internal_user").await;
    let key = post(&own, "/key/generate", json!({"key_alias": "app"})).await;
    post(&admin, "/key/delete", json!({"key_aliases": ["app"]})).await;
    gateway.logged("deleted key").await;

    let managed = gateway.lines("managed");
    let told: Vec<(&str, String)> = managed
        .iter()
        .map(|line| (line["by"].as_str().expect("who"), line["changed"].as_str().expect("what").to_owned()))
        .collect();
    let name = key["key_name"].as_str().expect("a name");
    assert_eq!(
        told,
        [
            ("default_user_id", "made user own".to_owned()),
            ("own", format!("made key {name} (app)")),
            ("default_user_id", format!("deleted key {name} (app)")),
        ]
    );
    assert!(!gateway.log().contains(key["key"].as_str().expect("a key")));
}

#[tokio::test]
async fn defaults_of_users_and_teams_fill_in() {
    let gateway = gateway()
        .set("litellm_settings", "default_internal_user_params", json!({"user_role": "internal_user", "max_budget": 2}))
        .set("litellm_settings", "default_team_params", json!({"rpm_limit": 9, "models": ["gpt-4o"]}))
        .start()
        .await;
    let admin = gateway.client();

    let user = post(&admin, "/user/new", json!({"auto_create_key": false})).await;
    assert_eq!(
        (&user["user_role"], &user["max_budget"], &user["key"]),
        (&json!("internal_user"), &json!(2.0), &json!(""))
    );
    let team = post(&admin, "/team/new", json!({"rpm_limit": 3})).await;
    assert_eq!((&team["rpm_limit"], &team["models"]), (&json!(3), &json!(["gpt-4o"])));
}
