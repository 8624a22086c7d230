//! Steps as slides in Markdown that show pictures beside them: for marp, pandoc and whoever copies from it. Step: view → **outside**.

use super::scene::{Scene, answer};
use crate::text::visible;

/// The file name of a step's picture, without its ending.
pub fn name(step: usize) -> String {
    format!("{:02}", step + 1)
}

/// The deck. A question has a slide of its own, and so has its answer.
pub fn to_markdown(title: &str, scenes: &[Scene]) -> String {
    let mut out = format!(
        "---\nmarp: true\nstyle: |\n  section {{ font-size: 24px; justify-content: start; }}\n  img {{ display: block; height: 400px; margin: 0 auto; }}\n---\n\n\
         # {}\n",
        text(title)
    );
    for (at, scene) in scenes.iter().enumerate() {
        let (title, caption) = (text(&scene.title), text(&scene.caption));
        let picture = format!("![{title}]({}.png)", name(at));
        out.push_str(&format!("\n---\n\n## {title}\n\n{picture}\n\n{caption}\n"));
        if let Some(asked) = &scene.question {
            out.push_str(&format!("\n**{}**\n\n", text(&asked.text)));
            for (key, choice) in asked.choices.iter().enumerate() {
                out.push_str(&format!("{}. {}\n", key + 1, text(choice)));
            }
        }
        out.push_str(&notes(&scene.notes));
        if let Some(asked) = &scene.question {
            out.push_str(&format!(
                "\n---\n\n## {title}\n\n{picture}\n\n**{}**\n\n**{}.** {}\n",
                text(&asked.text),
                text(&answer(asked)),
                text(&asked.why)
            ));
        }
    }
    out
}

/// What only the speaker sees.
fn notes(notes: &str) -> String {
    match notes.is_empty() {
        true => String::new(),
        // Nothing in it ends the comment.
        false => format!("\n<!--\n{}\n-->\n", visible(notes).replace("--", "- -")),
    }
}

/// Text that means what it says: no markup, no tag, no list, no new slide.
fn text(said: &str) -> String {
    let mut out = String::new();
    let said = visible(said);
    let digits = said.bytes().take_while(u8::is_ascii_digit).count();
    for (at, c) in said.chars().enumerate() {
        let marks = "\\`*_[]<>#|~&$!".contains(c);
        // What makes a list or a line only does so in front.
        let leads = at == 0 && "-+=:".contains(c);
        let numbers = at > 0 && at == digits && ".)".contains(c);
        if marks || leads || numbers {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lesson::Question;

    #[test]
    fn a_question_has_a_slide_and_its_answer_has_one() {
        let scene = Scene {
            title: "One".into(),
            caption: "A caption.".into(),
            question: Some(Question {
                text: "What?".into(),
                choices: vec!["this".into(), "that".into()],
                right: 1,
                why: "Because.".into(),
            }),
            notes: "Speak up.".into(),
            screens: Vec::new(),
        };
        let deck = to_markdown("Title", &[scene]);
        let slides: Vec<&str> = deck.split("\n---\n").collect();
        let [_, title, asked, answered] = &slides[..] else {
            panic!("{deck}")
        };
        assert_eq!(title.trim(), "# Title");
        let want = "## One\n\n![One](01.png)\n\nA caption.\n\n**What?**\n\n1. this\n2. that\n\n<!--\nSpeak up.\n-->";
        assert_eq!(asked.trim(), want);
        let want = "## One\n\n![One](01.png)\n\n**What?**\n\n**2, that.** Because.";
        assert_eq!(answered.trim(), want);
    }

    #[test]
    fn whatever_it_is_called_it_is_text() {
        assert_eq!(
            text("- a_b* <img> [x](y) `c` #1"),
            "\\- a\\_b\\* \\<img\\> \\[x\\](y) \\`c\\` \\#1"
        );
        assert_eq!(text("1. one 2. two"), "1\\. one 2. two");
        assert_eq!(text("é. 3) 漢."), "é. 3) 漢.");
        assert_eq!(text("--- é. 3.4 %"), "\\--- é. 3.4 %");
        assert!(!text("a\n---\n# b\u{1b}").contains(['\n', '\u{1b}']));
        assert_eq!(notes("a --> b").matches("-->").count(), 1);
    }
}
