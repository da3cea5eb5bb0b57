//! The table of paths.

use percent_encoding::percent_decode_str;

use crate::keys::RouteKind;

/// One of these routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) enum Route {
    KeyGenerate,
    KeyInfo,
    /// Of several.
    KeyInfos,
    KeyUpdate,
    KeyDelete,
    KeyList,
    KeyAliases,
    KeyBlock {
        blocked: bool,
    },
    /// The key may be in the path or in the body.
    KeyRegenerate(Option<String>),
    KeyResetSpend(String),
    UserNew,
    UserInfo,
    /// Without keys and teams.
    UserInfoAlone,
    UserUpdate,
    UserDelete,
    UserList,
    TeamNew,
    TeamInfo,
    TeamUpdate,
    TeamDelete,
    TeamList,
    /// Page by page.
    TeamPages,
    TeamBlock {
        blocked: bool,
    },
    MemberAdd,
    MemberDelete,
}

const ROUTES: [(&str, Route); 24] = [
    ("/key/generate", Route::KeyGenerate),
    ("/key/info", Route::KeyInfo),
    ("/v2/key/info", Route::KeyInfos),
    ("/key/update", Route::KeyUpdate),
    ("/key/delete", Route::KeyDelete),
    ("/key/list", Route::KeyList),
    ("/key/aliases", Route::KeyAliases),
    ("/key/block", Route::KeyBlock { blocked: true }),
    ("/key/unblock", Route::KeyBlock { blocked: false }),
    ("/key/regenerate", Route::KeyRegenerate(None)),
    ("/user/new", Route::UserNew),
    ("/user/info", Route::UserInfo),
    ("/v2/user/info", Route::UserInfoAlone),
    ("/user/update", Route::UserUpdate),
    ("/user/delete", Route::UserDelete),
    ("/user/list", Route::UserList),
    ("/team/new", Route::TeamNew),
    ("/team/info", Route::TeamInfo),
    ("/team/update", Route::TeamUpdate),
    ("/team/delete", Route::TeamDelete),
    ("/team/list", Route::TeamList),
    ("/v2/team/list", Route::TeamPages),
    ("/team/member_add", Route::MemberAdd),
    ("/team/member_delete", Route::MemberDelete),
];

const TEAM_BLOCKS: [(&str, Route); 2] =
    [("/team/block", Route::TeamBlock { blocked: true }), ("/team/unblock", Route::TeamBlock { blocked: false })];

/// The route at `path`, and the methods that it takes.
pub(in crate::api) fn find(path: &str) -> Option<(Route, &'static str)> {
    let mut known = ROUTES.iter().chain(&TEAM_BLOCKS);
    let route = known.find(|(known, _)| *known == path).map(|(_, route)| route.clone()).or_else(|| of_a_key(path))?;
    let methods = if route.only_tells() { "GET" } else { "POST" };
    Some((route, methods))
}

/// `/key/{key}/regenerate` and `/key/{key}/reset_spend`.
fn of_a_key(path: &str) -> Option<Route> {
    let (key, what) = path.strip_prefix("/key/")?.rsplit_once('/')?;
    let key = percent_decode_str(key).decode_utf8().ok().filter(|key| !key.is_empty())?.into_owned();
    match what {
        "regenerate" => Some(Route::KeyRegenerate(Some(key))),
        "reset_spend" => Some(Route::KeyResetSpend(key)),
        _ => None,
    }
}

impl Route {
    /// What kind of route it is.
    pub(in crate::api) fn kind(&self) -> RouteKind {
        match self {
            Self::KeyInfo
            | Self::KeyInfos
            | Self::KeyList
            | Self::UserInfo
            | Self::UserInfoAlone
            | Self::TeamInfo
            | Self::TeamList
            | Self::TeamPages => RouteKind::Info,
            _ => RouteKind::Management,
        }
    }

    /// Whether it changes nothing, and takes no body.
    pub(super) fn only_tells(&self) -> bool {
        matches!(
            self,
            Self::KeyInfo
                | Self::KeyList
                | Self::KeyAliases
                | Self::UserInfo
                | Self::UserInfoAlone
                | Self::UserList
                | Self::TeamInfo
                | Self::TeamList
                | Self::TeamPages
        )
    }

    /// Its path without a key in it: for the log and for whoever is refused.
    pub(super) fn path(&self) -> String {
        let mut known = ROUTES.iter().chain(&TEAM_BLOCKS);
        let path = known.find(|(_, route)| route == self).map(|(path, _)| *path);
        path.unwrap_or(match self {
            Self::KeyResetSpend(_) => "/key/{key}/reset_spend",
            _ => "/key/{key}/regenerate",
        })
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_to_its_route() {
        for (path, route, methods) in [
            ("/key/generate", Route::KeyGenerate, "POST"),
            ("/key/info", Route::KeyInfo, "GET"),
            ("/v2/key/info", Route::KeyInfos, "POST"),
            ("/team/unblock", Route::TeamBlock { blocked: false }, "POST"),
            ("/key/sk-1%2F2/regenerate", Route::KeyRegenerate(Some("sk-1/2".to_owned())), "POST"),
            ("/key/abc/reset_spend", Route::KeyResetSpend("abc".to_owned()), "POST"),
        ] {
            assert_eq!(find(path), Some((route, methods)), "{path}");
        }
        for path in ["/key", "/key/", "/key//regenerate", "/key/abc/delete", "/user", "/team/x"] {
            assert_eq!(find(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_told_of_a_route_has_no_key_in_it() {
        let (route, _) = find("/key/sk-secret/reset_spend").unwrap();
        assert_eq!(route.path(), "/key/{key}/reset_spend");
    }
}
