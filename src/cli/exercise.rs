//! `loopscope demo NAME --exercise`: a demo's lesson as a handout: what is asked, what to run, and room to write.
//! Step: model → **outside**.

use super::demo::unknown;
use super::error::{Exit, Failure, Outcome};
use super::output::Output;
use super::reproduction;
use crate::demos::{self, Demo};
use crate::export::scene;
use crate::lesson::Lesson;

/// Room for an answer.
const LINE: &str =
    "_______________________________________________________________________________\n\n";

pub(super) fn print(name: &str, answers: bool) -> Outcome {
    let demo = match (demos::find(name), reproduction::find(name)) {
        (Some(demo), _) => demo,
        (None, Some(_)) => {
            let failure = Failure::usage(format!("{name} is a reproduction and has no lesson"));
            return Err(failure
                .hint(format!("loopscope explain {name} tells what it is about"))
                .into());
        }
        (None, None) => return Err(unknown(name).into()),
    };
    let lesson = Lesson::parse(demo.lesson)
        .map_err(|why| Failure::new(format!("cannot read the lesson of {name}")).hint(why))?;
    let mut out = Output::stdout();
    out.text(&handout(demo, &lesson, answers))?;
    out.finish()?;
    Ok(Exit::OK)
}

/// The handout, Markdown.
fn handout(demo: &Demo, lesson: &Lesson, answers: bool) -> String {
    let Demo { name, file, .. } = demo;
    let about = match answers {
        true => about(demo.lesson),
        false => setting(demo.lesson),
    };
    let mut out = format!("# {}\n\n{about}\n\n", lesson.title);
    if !answers {
        out.push_str("Name: ______________________________   Date: ______________\n\n");
    }
    out.push_str(&format!(
        "## Run it\n\n    \
         loopscope demo {name}              it runs; PgDn goes from step to step, q quits\n    \
         loopscope demo {name} --recorded   the same from a recording made earlier\n    \
         loopscope demo {name} --fixed      repaired, under the same load\n"
    ));
    if demo.c.is_some() {
        out.push_str(&format!(
            "    loopscope demo {name} --c          the same in C\n"
        ));
    }
    out.push_str(&format!(
        "\nSpace freezes and goes on, the arrows go from event to event, `?` lists all keys. Screen 8 shows the program, `{file}`.\n\n\
         ## Guess first\n\nEach is asked at a step of the lesson, before it is shown.\n\n"
    ));
    let asked = lesson.steps.iter().enumerate();
    let asked = asked.filter_map(|(at, step)| Some((at, step, step.question.as_ref()?)));
    for (number, (at, step, question)) in asked.enumerate() {
        out.push_str(&format!(
            "{}. {} (step {}: {})\n\n",
            number + 1,
            question.text,
            at + 1,
            step.title
        ));
        for (key, choice) in question.choices.iter().enumerate() {
            let tick = match answers && key == question.right {
                true => 'x',
                false => ' ',
            };
            out.push_str(&format!("   - [{tick}] {}: {choice}\n", key + 1));
        }
        match answers {
            true => out.push_str(&format!(
                "\n   Answer: {}. {}\n\n",
                scene::answer(question),
                question.why
            )),
            false => out.push_str(&format!("\n   Why? {}", &LINE[8..])),
        }
    }
    if let Some(first) = lesson.knobs.first() {
        let other = &first.values[(first.start[0] + 1) % first.values.len()];
        out.push_str(&format!(
            "## Turn it\n\nWhile it runs, `c` opens what can be turned; `loopscope demo {name} --set '{}={other}'` begins so.\n\n",
            first.name,
        ));
        for knob in &lesson.knobs {
            // Where it stands in the repaired program is an answer.
            let (values, stands) = (knob.values.join(" | "), &knob.values[knob.start[0]]);
            out.push_str(&format!(
                "- {}: {values} ({stands} at first). {}\n",
                knob.name, knob.about
            ));
        }
        out.push_str(&format!(
            "\nTurn one at a time. What do you expect? What comes of it?\n\n{LINE}{LINE}"
        ));
    }
    out.push_str("## Then look\n\n");
    for question in questions(demo.lesson) {
        out.push_str(&format!("{question}\n\n"));
        if !answers {
            out.push_str(&format!("   {}   {}", &LINE[3..], &LINE[3..]));
        }
    }
    out.push_str(&format!(
        "## Repair it\n\nWhat would you change in `{file}`? Write it down, then hold the two runs against each other:\n\n    \
         loopscope demo {name} --no-ui -o broken.lscope\n    \
         loopscope demo {name} --no-ui --fixed -o fixed.lscope\n    \
         loopscope diff broken.lscope fixed.lscope\n\n"
    ));
    match answers {
        true => out.push_str(&format!("{}\n", section(demo.lesson, "The repair").trim())),
        false => out.push_str(&format!("{LINE}{LINE}")),
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// The lesson's first paragraph.
fn about(lesson: &str) -> &str {
    let text = lesson.split_once("\n\n");
    let text = text.map_or("", |(_, rest)| rest.trim_start());
    text.split("\n\n").next().unwrap_or_default()
}

/// Its first sentence: who is there and what they do. What follows it may tell what comes of that.
fn setting(lesson: &str) -> &str {
    let text = about(lesson);
    let end = text.find(". ").into_iter().chain(text.find(".\n")).min();
    end.map_or(text, |end| &text[..=end])
}

/// The text of one section.
fn section<'a>(lesson: &'a str, name: &str) -> &'a str {
    let head = format!("\n## {name}\n");
    let text = lesson.split_once(&head).map_or("", |(_, rest)| rest);
    text.split("\n## ").next().unwrap_or_default()
}

/// The open questions, numbered as they are; a line that is indented goes on with the question before.
fn questions(lesson: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in section(lesson, "Questions").lines() {
        match (line.starts_with(char::is_numeric), all.last_mut()) {
            (true, _) => all.push(line.to_owned()),
            (false, Some(last)) if !line.trim().is_empty() => {
                last.push('\n');
                last.push_str(line);
            }
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_demo_has_a_handout_that_does_not_give_away_its_answers() {
        for demo in demos::ALL {
            let lesson = Lesson::parse(demo.lesson).unwrap();
            let plain = handout(demo, &lesson, false);
            let with = handout(demo, &lesson, true);
            let (said, all) = (setting(demo.lesson), about(demo.lesson));
            assert!(said.ends_with('.') && all.starts_with(said), "{said}");
            assert!(plain.contains(said) && with.contains(all));
            let open = questions(demo.lesson);
            assert!(open.len() >= 2, "{}", demo.name);
            for question in &open {
                assert!(plain.contains(question) && with.contains(question));
            }
            let asked = lesson.steps.iter().filter_map(|s| s.question.as_ref());
            for question in asked {
                for said in question.choices.iter().chain([&question.text]) {
                    assert!(plain.contains(said), "{}: {said}", demo.name);
                }
                assert!(!plain.contains(&question.why), "{}", demo.name);
                let answer = format!("Answer: {}. {}", scene::answer(question), question.why);
                assert!(with.contains(&answer), "{}", demo.name);
            }
            for knob in &lesson.knobs {
                let told = format!("- {}: {} (", knob.name, knob.values.join(" | "));
                assert!(
                    plain.contains(&told) && plain.contains(&knob.about),
                    "{}",
                    demo.name
                );
            }
            assert_eq!(plain.contains("## Turn it"), !lesson.knobs.is_empty());
            assert!(!plain.contains("[x]") && !plain.contains("Answer:"));
            let repair = section(demo.lesson, "The repair").trim();
            assert!(!repair.is_empty() && with.contains(repair) && !plain.contains(repair));
        }
    }
}
