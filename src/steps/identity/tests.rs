use std::sync::Arc;

use super::*;
use crate::host::Host;
use crate::host::fake::absent;
use crate::host::fake::http::FakeHttp;

fn service() -> (Arc<FakeHttp>, StepContext) {
    let http = Arc::new(FakeHttp::default());
    let host = Host { http: Arc::clone(&http) as Arc<_>, ..absent() };
    (http, StepContext::silent(Arc::new(host)))
}

fn session(context: &StepContext) -> Session<'_> {
    Session { context, url: "http://192.0.2.1:5000/v3".to_owned(), token: "t0ken".to_owned() }
}

fn asked(http: &FakeHttp) -> usize {
    http.requests.lock().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_request_that_no_member_answered_is_repeated_until_one_does() {
    for (method, lost) in [("GET", 502), ("PATCH", 503), ("PUT", 503), ("DELETE", 504)] {
        let (http, context) = service();
        http.answer(method, "/users", lost, "<html>no server is available</html>");
        let begun = Instant::now();
        let session = session(&context);
        let (answer, ()) = tokio::join!(session.send(method, "/users", None), async {
            sleep(Duration::from_millis(2200)).await;
            http.answer(method, "/users", 200, r#"{"users": []}"#);
        });
        assert_eq!(answer.unwrap(), json!({ "users": [] }));
        assert_eq!((asked(&http), begun.elapsed().as_millis()), (6, 2500), "{method}");
        let requests = http.requests.lock().unwrap();
        let token = ("X-Auth-Token".to_owned(), "t0ken".to_owned());
        assert!(requests.iter().all(|request| request.headers.contains(&token)));
    }
}

#[tokio::test(start_paused = true)]
async fn patience_has_an_end() {
    let (http, context) = service();
    http.answer("GET", "/users", 503, "");
    let begun = Instant::now();
    let error = session(&context).list("/users", "users").await.unwrap_err();
    assert_eq!(begun.elapsed(), PATIENCE);
    assert!(error.to_string().contains("GET /users"), "{error}");
    assert!(error.causes.iter().any(|cause| cause.contains("503")), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn what_makes_something_is_asked_once() {
    let (http, context) = service();
    http.answer("POST", "/users", 504, "");
    let begun = Instant::now();
    assert!(session(&context).create("/users", "user", json!({})).await.is_err());
    assert_eq!((asked(&http), begun.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_answer_and_its_words_are_told() {
    for refusal in [400, 401, 409, 500, 501] {
        let (http, context) = service();
        let body = r#"{"error": {"code": 0, "message": "The name is taken."}}"#;
        http.answer("PATCH", "/users/1", refusal, body);
        let begun = Instant::now();
        let error = session(&context).send("PATCH", "/users/1", None).await.unwrap_err();
        assert_eq!((asked(&http), begun.elapsed()), (1, Duration::ZERO), "{refusal}");
        assert!(error.causes.iter().any(|cause| cause == "The name is taken."), "{error:?}");
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_not_asked_again() {
    let (http, context) = service();
    http.fail("GET", "/users", "connection refused");
    let error = session(&context).list("/users", "users").await.unwrap_err();
    assert!(error.causes.iter().any(|cause| cause.contains("refused")), "{error:?}");
    assert_eq!(asked(&http), 1);
}

#[tokio::test]
async fn an_empty_answer_and_a_missing_collection_are_nothing() {
    let (http, context) = service();
    http.answer("DELETE", "/users/1", 204, "");
    http.answer("GET", "/users", 200, "{}");
    let session = session(&context);
    assert_eq!(session.send("DELETE", "/users/1", None).await.unwrap(), Value::Null);
    assert_eq!(session.list("/users", "users").await.unwrap(), Vec::<Value>::new());
}

#[test]
fn an_element_is_found_by_all_of_its_fields() {
    let elements = [
        json!({ "id": "1", "name": "a", "domain_id": "x" }),
        json!({ "id": "2", "name": "a", "domain_id": "y" }),
    ];
    assert_eq!(find_id(&elements, &[("name", "a"), ("domain_id", "y")]).as_deref(), Some("2"));
    assert_eq!(find_id(&elements, &[("name", "b")]), None);
}
