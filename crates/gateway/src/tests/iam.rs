//! IAM and STS over the wire: the query protocol in, XML out.

use super::*;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"000000000000"},"Action":"sts:AssumeRole"}]}"#;
const ALLOW: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ivs:List*","Resource":"*"}]}"#;

/// The temporary key in an answer of STS.
fn handed_out(answer: &Answer) -> AccessKey {
    let secret = |name: &str| headwater_model::Secret::new(answer.element(name));
    let id = answer.element("AccessKeyId");
    let mut key = AccessKey::new(id, secret("SecretAccessKey"), Principal::Anonymous, Timestamp(0));
    key.session_token = Some(secret("SessionToken"));
    key
}

#[tokio::test]
async fn the_owner_is_told_as_xml_of_the_services_name_space() {
    let server = server().await;
    let answer = server.query(&server.root, "sts", &[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]).await;
    let id = answer.headers["x-amzn-requestid"].to_str().unwrap();
    assert_eq!(
        answer.text,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::000000000000:root</Arn><UserId>000000000000</UserId><Account>000000000000</Account>\
             </GetCallerIdentityResult><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>\
             </GetCallerIdentityResponse>"
        )
    );
    assert_eq!(answer.headers["content-type"], "text/xml");
}

#[tokio::test]
async fn a_role_is_made_given_rights_taken_and_deleted() {
    let server = server().await;
    let iam = async |form: &[(&str, &str)]| server.query(&server.root, "iam", form).await;
    let made = iam(&[
        ("Action", "CreateRole"),
        ("RoleName", "viewer"),
        ("AssumeRolePolicyDocument", TRUST),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "a<b"),
    ])
    .await;
    assert_eq!(made.element("Arn"), "arn:aws:iam::000000000000:role/viewer");
    assert_eq!(made.element("Tags"), "<member><Key>team</Key><Value>a&lt;b</Value></member>");
    let encoded = made.element("AssumeRolePolicyDocument");
    let document = percent_encoding::percent_decode_str(encoded).decode_utf8().unwrap().into_owned();
    assert_eq!(document, TRUST);
    let again = iam(&[("Action", "CreateRole"), ("RoleName", "viewer"), ("AssumeRolePolicyDocument", TRUST)]).await;
    assert_eq!((again.status.as_u16(), again.element("Code")), (409, "EntityAlreadyExists"));
    let put = [("Action", "PutRolePolicy"), ("RoleName", "viewer"), ("PolicyName", "list"), ("PolicyDocument", ALLOW)];
    assert_eq!(iam(&put).await.status, StatusCode::OK);
    let taken = server
        .query(
            &server.root,
            "sts",
            &[
                ("Action", "AssumeRole"),
                ("RoleArn", "arn:aws:iam::000000000000:role/viewer"),
                ("RoleSessionName", "me"),
            ],
        )
        .await;
    let key = handed_out(&taken);
    assert_eq!(server.ivs_as(&key, "ListChannels", json!({})).await.json(), json!({"channels": []}));
    let identity = server.query(&key, "sts", &[("Action", "GetCallerIdentity")]).await;
    assert_eq!(identity.element("Arn"), "arn:aws:sts::000000000000:assumed-role/viewer/me");
    assert!(identity.element("UserId").ends_with(":me"));
    let refused = server.query(&key, "iam", &[("Action", "ListRoles")]).await;
    assert_eq!((refused.status.as_u16(), refused.element("Code")), (403, "AccessDenied"));
    let busy = iam(&[("Action", "DeleteRole"), ("RoleName", "viewer")]).await;
    assert_eq!((busy.status.as_u16(), busy.element("Code")), (409, "DeleteConflict"));
    iam(&[("Action", "DeleteRolePolicy"), ("RoleName", "viewer"), ("PolicyName", "list")]).await;
    let deleted = iam(&[("Action", "DeleteRole"), ("RoleName", "viewer")]).await;
    assert!(!deleted.text.contains("DeleteRoleResult"), "{deleted:?}");
    let gone = iam(&[("Action", "GetRole"), ("RoleName", "viewer")]).await;
    assert_eq!((gone.status.as_u16(), gone.element("Code"), gone.element("Type")), (404, "NoSuchEntity", "Sender"));
    let denied = server.ivs_as(&key, "ListChannels", json!({})).await;
    assert_eq!(denied.error_type(), "AccessDeniedException", "a role that is gone has no rights");
}

#[tokio::test]
async fn what_is_no_policy_and_no_operation_is_refused() {
    let server = server().await;
    let iam = async |form: &[(&str, &str)]| server.query(&server.root, "iam", form).await;
    let create =
        |document: &'static str| [("Action", "CreateRole"), ("RoleName", "r"), ("AssumeRolePolicyDocument", document)];
    for document in ["{", "{}", "[]"] {
        let answer = iam(&create(document)).await;
        assert_eq!((answer.status.as_u16(), answer.element("Code")), (400, "MalformedPolicyDocument"), "{document}");
    }
    assert_eq!(iam(&[("Action", "LaunchRocket")]).await.element("Code"), "InvalidAction");
    assert_eq!(iam(&[("Action", "<x>")]).await.element("Code"), "InvalidAction");
    assert_eq!(iam(&[("RoleName", "r")]).await.element("Code"), "MissingAction");
    assert_eq!(
        iam(&[("Action", "GetRole"), ("RoleName", "a"), ("RoleName.b", "c")]).await.element("Code"),
        "MalformedInput"
    );
}

#[tokio::test]
async fn a_user_with_a_key_has_the_rights_of_its_policies() {
    let server = server().await;
    let key = server.user_key("ann").await;
    let denied = server.ivs_as(&key, "ListChannels", json!({})).await;
    assert_eq!(denied.error_type(), "AccessDeniedException");
    assert!(denied.json()["message"].as_str().unwrap().starts_with("User: arn:aws:iam::000000000000:user/ann is not"));
    let attach = [
        ("Action", "AttachUserPolicy"),
        ("UserName", "ann"),
        ("PolicyArn", "arn:aws:iam::aws:policy/IVSReadOnlyAccess"),
    ];
    server.query(&server.root, "iam", &attach).await;
    assert_eq!(server.ivs_as(&key, "ListChannels", json!({})).await.status, StatusCode::OK);
    let user = server.query(&server.root, "iam", &[("Action", "GetUser"), ("UserName", "ann")]).await;
    assert_eq!(user.element("UserName"), "ann");
    let keys = server.query(&server.root, "iam", &[("Action", "ListAccessKeys"), ("UserName", "ann")]).await;
    assert_eq!(keys.element("AccessKeyId"), key.access_key_id);
    assert!(!keys.text.contains(key.secret_access_key.expose()));
}
