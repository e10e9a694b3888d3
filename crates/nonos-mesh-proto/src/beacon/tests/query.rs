use crate::beacon::{sample::*, *};
use nonos_types::{Hash32, codec::CodecError};

fn queries() -> Vec<Query> {
    vec![
        Query::Id(Hash32::from_bytes([1; 32])),
        Query::Owned { author: key(1).id(), name: "zk-search".to_owned() },
        Query::Prefix(String::new()),
        Query::Words(vec!["zk".to_owned(), "über".to_owned()]),
        Query::Tag("search".to_owned()),
    ]
}

fn answer() -> Answer {
    let mut announcements = vec![announcement(&key(1), "a", 1), announcement(&key(1), "b", 1)];
    announcements.sort_by_key(Statement::id);
    Answer { request: 7, more: true, announcements, inventories: vec![inventory(&key(2), &[1], 1)] }
}

#[test]
fn queries_and_answers_read_as_they_were_written() {
    for query in queries() {
        let message = QueryMessage { request: 9, query };
        assert_eq!(QueryMessage::from_bytes(&message.to_bytes()), Ok(message.clone()));
        assert!(fuzz_query(&message.to_bytes()));
    }
    assert_eq!(Answer::from_bytes(&answer().to_bytes()), Ok(answer()));
    assert!(fuzz_answer(&answer().to_bytes()));
}

#[test]
fn damaged_queries_are_refused_each_with_its_reason() {
    let check = |query: Query, change: &dyn Fn(&mut Vec<u8>), expected: QueryError| {
        let mut bytes = QueryMessage { request: 9, query }.to_bytes();
        change(&mut bytes);
        assert_eq!(QueryMessage::from_bytes(&bytes), Err(expected));
    };
    let tag = || Query::Tag("zk".to_owned());
    check(tag(), &|b| b[0] ^= 1, QueryError::Magic);
    check(tag(), &|b| b[8] = 3, QueryError::Version { got: 3 });
    check(tag(), &|b| b[18] = 5, QueryError::Kind { got: 5 });
    let name = TextError::Name { field: "tag", got: "Zk".to_owned(), max_bytes: 32 };
    check(tag(), &|b| b[23] = b'Z', name.into());
    check(tag(), &|b| b.push(0), CodecError::Trailing { at: 25, extra_bytes: 1 }.into());
    check(Query::Words(Vec::new()), &|_| {}, QueryError::Words { got: 0 });
    let nine = CodecError::TooLarge { at: 19, field: "words", got: 9, max: 8 };
    check(Query::Words(vec!["a".to_owned(); 9]), &|_| {}, nine.into());
    let word = TextError::Word { got: "A".to_owned(), max_bytes: 32 };
    check(Query::Words(vec!["A".to_owned()]), &|_| {}, word.into());
}

#[test]
fn damaged_answers_are_refused_each_with_its_reason() {
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: AnswerError| {
        let mut bytes = answer().to_bytes();
        change(&mut bytes);
        assert_eq!(Answer::from_bytes(&bytes), Err(expected));
    };
    check(&|b| b[0] ^= 1, AnswerError::Magic);
    check(&|b| b[8] = 3, AnswerError::Version { got: 3 });
    check(&|b| b[19] = 17, CodecError::TooLarge { at: 19, field: "announcements", got: 17, max: 16 }.into());
    check(&|b| b[23] = 0, AnnouncementError::Magic.into());
    let mut twice = answer();
    twice.announcements.reverse();
    let id = id_of(&twice.announcements[1]);
    assert_eq!(Answer::from_bytes(&twice.to_bytes()), Err(AnswerError::Order { id }));
    let mut many = answer();
    many.inventories = vec![inventory(&key(2), &[1], 1); 17];
    assert!(matches!(Answer::from_bytes(&many.to_bytes()), Err(AnswerError::Codec(CodecError::TooLarge { .. }))));
}

#[test]
fn what_people_type_becomes_a_query() {
    let check = |typed: &str, expected: Query| assert_eq!(typed.parse(), Ok(expected), "{typed}");
    let author = key(1).id();
    check("zk-Search", Query::Words(vec!["zk".to_owned(), "search".to_owned()]));
    check(" zk* ", Query::Prefix("zk".to_owned()));
    check("tag:zk", Query::Tag("zk".to_owned()));
    check(&author.to_string(), Query::Id(Hash32::from_bytes(*author.as_bytes())));
    check(&format!("{author}/zk-search"), Query::Owned { author, name: "zk-search".to_owned() });
    assert_eq!("bob/zk".parse::<Query>(), Err(QueryTextError::Author { got: "bob".to_owned() }));
    assert_eq!(" - ".parse::<Query>(), Err(QueryTextError::Query(QueryError::Words { got: 0 })));
    assert!("tag:Zk".parse::<Query>().is_err());
}

#[test]
fn random_changes_of_queries_and_answers_never_panic() {
    let valid: Vec<_> = queries().into_iter().map(|query| QueryMessage { request: 1, query }.to_bytes()).collect();
    mutate(&valid, 20_000, fuzz_query);
    mutate(&[answer().to_bytes()], 1_000, fuzz_answer);
}
