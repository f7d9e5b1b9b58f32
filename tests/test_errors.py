"""Messages of other libraries inside of ours."""

from mgbench.errors import UserError, as_sentence, in_brief


def test_a_long_message_is_cut_after_a_word() -> None:
    said = in_brief(ValueError("layer\n\tis missing; " * 2000))
    assert said.startswith("layer is missing; layer")
    assert said.endswith((" layer …", " is …", " missing; …"))
    assert len(said) <= 300


def test_an_exception_is_said_by_its_type_and_a_request_that_cannot_be_met_as_it_is() -> None:
    assert as_sentence(ValueError("too\nlong")) == "ValueError: too long"
    assert as_sentence(KeyError()) == "KeyError: no message"
    assert as_sentence(UserError("give\n" + "one " * 200)) == "give " + ("one " * 200).strip()
