use std::collections::BTreeMap;

use minijinja::context;

use super::*;

/// Templates, and what Jinja2 3.1.6 makes of them.
const TABLE: &[(&str, &str)] = &[
    (r##"{{ 'hello wide world'|truncate(9) }}"##, r##"hello..."##),
    (r##"{{ 'hello wide world'|truncate(9, True) }}"##, r##"hello ..."##),
    (r##"{{ 'hello wide world'|truncate(9, True, '!', 0) }}"##, r##"hello wi!"##),
    (r##"{{ 'hello wide world'|truncate(12, leeway=0) }}"##, r##"hello..."##),
    (r##"{{ 'hello wide world'|truncate(length=9, killwords=true, end='~') }}"##, r##"hello wi~"##),
    (r##"{{ 'hello wide'|truncate(8) }}"##, r##"hello wide"##),
    (
        r##"{{ 'aaa bbb ccc ddd'|wordwrap(7) }}"##,
        r##"aaa bbb
ccc ddd"##,
    ),
    (
        r##"{{ 'aaa bbbbbbbbbbbb ccc'|wordwrap(5) }}"##,
        r##"aaa b
bbbbb
bbbbb
b ccc"##,
    ),
    (
        r##"{{ 'aaa bbbbbbbbbbbb ccc'|wordwrap(5, false) }}"##,
        r##"aaa
bbbbbbbbbbbb
ccc"##,
    ),
    (r##"{{ 'aaa bbb ccc ddd'|wordwrap(7, wrapstring='|') }}"##, r##"aaa bbb|ccc ddd"##),
    (
        r##"{{ 'well-known fact'|wordwrap(6) }}"##,
        r##"well-
known
fact"##,
    ),
    (r##"{{ 'well-known fact'|wordwrap(6, true, '/', false) }}"##, r##"well-k/nown/fact"##),
    (
        r##"{{ 'one two\nthree four'|wordwrap(5) }}"##,
        r##"one
two
three
four"##,
    ),
    (r##"{{ 'aaaa'|replace('a', 'b', 2) }}"##, r##"bbaa"##),
    (r##"{{ 'aaaa'|replace('a', 'b') }}"##, r##"bbbb"##),
    (r##"{{ 'aaaa'|replace('a', 'b', count=1) }}"##, r##"baaa"##),
    (r##"[{{ 'ab'|center(7) }}]"##, r##"[   ab  ]"##),
    (r##"[{{ 'abc'|center(6) }}]"##, r##"[ abc  ]"##),
    (r##"[{{ 'abc'|center(width=8) }}]"##, r##"[  abc   ]"##),
    (
        r##"{{ 'see http://example.com/x?a=1, or www.example.org.'|urlize }}"##,
        r##"see <a href="http://example.com/x?a=1" rel="noopener">http://example.com/x?a=1</a>, or <a href="https://www.example.org" rel="noopener">www.example.org</a>."##,
    ),
    (r##"{{ 'see http://example.com/x?a=1'|urlize(12, true) }}"##, r##"see <a href="http://example.com/x?a=1" rel="nofollow noopener">http://examp...</a>"##),
    (
        r##"{{ 'see http://example.com/x'|urlize(target='_blank') }}"##,
        r##"see <a href="http://example.com/x" rel="noopener" target="_blank">http://example.com/x</a>"##,
    ),
    (r##"{{ 'mail bob@example.com (or not)'|urlize }}"##, r##"mail <a href="mailto:bob@example.com">bob@example.com</a> (or not)"##),
    (r##"{{ '<b> (https://a.example)'|urlize }}"##, r##"&lt;b&gt; (<a href="https://a.example" rel="noopener">https://a.example</a>)"##),
    (r##"<p{{ {'class': 'a b', 'id': none, 'title': '"x"'}|xmlattr }}>"##, r##"<p class="a b" title="&#34;x&#34;">"##),
    (r##"<p {{ {'class': 'x'}|xmlattr(false) }}>"##, r##"<p class="x">"##),
    (r##"{{ '<b>'|forceescape }}"##, r##"&lt;b&gt;"##),
    (r##"{{ 'one two, three-four'|wordcount }}"##, r##"4"##),
    (r##"{{ {'b': 1, 'a': [1, 'x', none, true]}|tojson }}"##, r##"{"a": [1, "x", null, true], "b": 1}"##),
    (
        r##"{{ {'b': {'d': 1, 'c': 2}, 'a': []}|tojson(indent=2) }}"##,
        r##"{
  "a": [],
  "b": {
    "c": 2,
    "d": 1
  }
}"##,
    ),
    (r##"{{ '<ü&>'|tojson }}"##, r##""\u003c\u00fc\u0026\u003e""##),
    (r##"{{ {'a': 1}|attr('a') }}"##, r##""##),
    (r##"{{ {'a b': 'c d', 'e': '/'}|urlencode }}"##, r##"a+b=c+d&e=%2F"##),
    (r##"{{ 'a b/c?'|urlencode }}"##, r##"a%20b/c%3F"##),
    (r##"{{ [('a', 1), ('b', 'x y')]|urlencode }}"##, r##"a=1&b=x+y"##),
    (r##"{{ '%s is %d'|format('x', 3) }}"##, r##"x is 3"##),
    (r##"{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}"##, r##"aba"##),
    (r##"{% set j = joiner(', ') %}{{ j() }}a{{ j() }}b"##, r##"a, b"##),
    (r##"{{ 'a,b'.split(',')|join('-') }}"##, r##"a-b"##),
    (r##"{{ 'Hello'.upper() }}{{ 'x'.startswith('x') }}{{ ' y '.strip() }}"##, r##"HELLOTruey"##),
    (r##"{{ {'a': 1}.items()|list }}"##, r##"[('a', 1)]"##),
    (r##"{{ {'a': 1}.get('b', 'none') }}"##, r##"none"##),
    (r##"{{ 'ab'.replace('a', 'c') }}"##, r##"cb"##),
    (r##"{{ 'a\nb'.splitlines()|length }}"##, r##"2"##),
    (r##"{{ [1, none, true, 'x', 1.5] }}"##, r##"[1, None, True, 'x', 1.5]"##),
    (r##"{{ ('failing', 'passing') }}"##, r##"('failing', 'passing')"##),
    (r##"{{ {'a': 'b'} }}"##, r##"{'a': 'b'}"##),
    (r##"{{ 1000000|filesizeformat }}"##, r##"1.0 MB"##),
    (r##"{{ '<p>x  y</p>'|striptags }}"##, r##"x y"##),
    (r##"{% for k, v in {'b': 1, 'a': 2}|dictsort %}{{ k }}{{ v }}{% endfor %}"##, r##"a2b1"##),
    (r##"{% for x in [1,2] %}{{ loop.index }}{{ loop.last }}{% endfor %}"##, r##"1False2True"##),
    (r##"{% macro m(x, y=2) %}{{ x }}{{ y }}{% endmacro %}{{ m(1) }}{{ m(1, y=3) }}"##, r##"1213"##),
    (r##"{% set ns = namespace(n=0) %}{% for x in [1,2] %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}"##, r##"3"##),
    (r##"{{ [{'a': 1}, {'a': 2}]|map(attribute='a')|sum }}"##, r##"3"##),
    (r##"{{ [{'a': 1, 'b': true}, {'a': 2, 'b': false}]|selectattr('b')|map(attribute='a')|list }}"##, r##"[1]"##),
    (r##"{{ 'abc'[1:] }}{{ [1,2,3][-1] }}{{ 7 // 2 }}{{ 2 ** 3 }}{{ 7 / 2 }}"##, r##"bc3383.5"##),
    (r##"{{ undefined_thing }}|{{ undefined_thing|default('d') }}"##, r##"|d"##),
    (r##"{{ 'x' if true }}{{ 'a' ~ 1 }}"##, r##"xa1"##),
    (r##"{{ 3.0 }}{{ 1e3|int }}{{ '4'|int + 1 }}{{ 2.567|round(1) }}"##, r##"3.0100052.6"##),
    (r##"{{ 'a b'|title }}{{ 'ab'|capitalize }}{{ [3,1,2]|sort }}{{ [1,1,2]|unique|list }}"##, r##"A BAb[1, 2, 3][1, 2]"##),
    (r##"{{ [1,2,3,4,5]|batch(2)|list }}"##, r##"[[1, 2], [3, 4], [5]]"##),
    (
        r##"{{ 'a\nb'|indent(2) }}"##,
        r##"a
  b"##,
    ),
    (r##"{{ '<b>'|e }}{{ '<b>'|safe }}"##, r##"&lt;b&gt;<b>"##),
    (r##"{% filter upper %}abc{% endfilter %}"##, r##"ABC"##),
    (r##"{% raw %}{{ x }}{% endraw %}{# c #}"##, r##"{{ x }}"##),
    (r##"{% with a = 1 %}{{ a }}{% endwith %}"##, r##"1"##),
    (r##"{{ range(3)|list }}{{ dict(a=1) }}"##, r##"[0, 1, 2]{'a': 1}"##),
    (r##"{% if 'a' in ['a'] and 1 is not none and 3 is odd %}y{% endif %}"##, r##"y"##),
    (r##"{{ ['a', 'b']|join(', ') }}{{ 'abc'|reverse }}{{ [1,2]|first }}{{ 'abc'|length }}"##, r##"a, bcba13"##),
];

fn render(template: &str) -> Result<String, Error> {
    let mut env = environment(false, false);
    add_named(&mut env, crate::template::words(template));
    env.render_str(template, ())
}

#[test]
fn as_jinja2() {
    let mut different = Vec::new();
    for (template, expected) in TABLE {
        let rendered = render(template).unwrap_or_else(|error| explain(&error));
        if rendered != *expected {
            different.push(format!("{template}\n  here:   {rendered:?}\n  Jinja2: {expected:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn named_differences_say_what_to_write() {
    for (template, part) in [
        ("a\n{{ 'a %s' % 1 }}", "line 2: invalid operation"),
        ("{{ 'a %s' % 1 }}", "write {{ 'a %s'|format(x) }}"),
        ("{{ [1, 2]|random }}", "take |first"),
        ("{{ lipsum() }}", "random differs"),
        ("{{ {'a b': 1}|xmlattr }}", "no name for an attribute"),
        ("{{ 'x'|truncate(2) }}", "less than that of end"),
        ("{{ 'x'|truncate(9, false, '', 0, 1) }}", "too many arguments"),
        ("{{ 'x'|center(wdth=3) }}", "wdth"),
        ("{{ 'x'|nosuch }}", "nosuch"),
    ] {
        let error = render(template).map_err(|error| explain(&error)).expect_err(template);
        assert!(error.contains(part), "{template}: {error}");
    }
}

#[test]
fn durations() {
    for (seconds, expected) in
        [(0.0, "0 s"), (59.9, "59 s"), (60.0, "1 min"), (125.0, "2 min 5 s"), (3600.0, "1 h"), (3725.0, "1 h 2 min"), (90_000.0, "1 d 1 h"), (-5.0, "0 s")]
    {
        assert_eq!(duration(seconds), expected);
    }
}

#[test]
fn what_is_on_one_line() {
    let values = context! { name => "bob\r\nBcc: <x>\u{1b}[1m", number => 7, safe => Value::from_safe_string("<b>a\tb</b>".to_owned()) };
    let template = "{{ name|one_line }} {{ number|one_line }} {{ safe|one_line }} {{ missing|one_line }}.";
    for (html, expected) in [(false, "bob Bcc: <x> [1m 7 <b>a b</b> ."), (true, "bob Bcc: &lt;x&gt; [1m 7 <b>a b</b> .")] {
        let mut env = environment(html, false);
        add_named(&mut env, crate::template::words(template));
        assert_eq!(env.render_str(template, &values).unwrap(), expected);
    }
}

#[test]
fn html_is_escaped_and_plain_is_not() {
    let values = context! { x => "<a & 'b'>", nested => BTreeMap::from([("k", "<")]) };
    assert_eq!(
        environment(true, false).render_str("{{ x }} {{ x|safe }} {{ nested.k }}", values.clone()).unwrap(),
        "&lt;a &amp; &#39;b&#39;&gt; <a & 'b'> &lt;"
    );
    assert_eq!(environment(false, false).render_str("{{ x }}", values).unwrap(), "<a & 'b'>");
}

#[test]
fn strict_and_lenient() {
    assert_eq!(environment(false, false).render_str("[{{ nothing }}]", ()).unwrap(), "[]");
    let error = environment(false, true).render_str("a\n[{{ nothing }}]", ()).unwrap_err();
    assert!(explain(&error).starts_with("line 2: undefined value"), "{}", explain(&error));
}
