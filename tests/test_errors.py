"""Messages of other libraries inside of ours."""

from mgbench.errors import UserError, as_sentence, in_brief, suggestion


def test_a_long_message_is_cut_after_a_word() -> None:
    said = in_brief(ValueError("layer\n\tis missing; " * 2000))
    assert said.startswith("layer is missing; layer")
    assert said.endswith((" layer …", " is …", " missing; …"))
    assert len(said) <= 300


def test_an_exception_is_said_by_its_type_and_a_request_that_cannot_be_met_as_it_is() -> None:
    assert as_sentence(ValueError("too\nlong")) == "ValueError: too long"
    assert as_sentence(KeyError()) == "KeyError: no message"
    assert as_sentence(UserError("give\n" + "one " * 200)) == "give " + ("one " * 200).strip()


def test_of_very_many_names_the_first_are_listed() -> None:
    names = [f"{number:02}" for number in range(50)]
    assert suggestion("zzz", names).endswith(" 18, 19 and 30 more")
    assert suggestion("zzz", names[:20]).endswith(" 18, 19")
    assert suggestion("499", names) == "did you mean '49'?"
