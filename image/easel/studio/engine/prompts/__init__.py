r"""The prompt language: A1111's, read in the order in which A1111 reads it.

    prompt      = what is left of a text once `styles` are put in, `comments` are gone, `variants` are chosen
                  (`{a|b}`, `__name__`), and `<lora:…>` tags are taken out
    prompt      = part { "AND" part }                                        composition
    part        = text [ ":" number ]                                        its weight
    text        = { edit | alternation | emphasis | letters }                schedule
    edit        = "[" [ text ] ":" [ text ] ":" when "]" | "[" [ text ] ":" when "]"
    when        = number                       with a point it is a fraction of the steps, else a step
    alternation = "[" text { "|" text } "]"
    emphasis    = "(" text ")" | "(" text ":" number ")" | "[" text "]"      emphasis
    letters     = anything else; "\(", "\)", "\[", "\]" and "\\" stand for the sign itself
    BREAK       ends a chunk of 75 tokens

Each file reads one of these. No text is an error: what is no syntax is letters. Each reader is linear in the
length of the text and calls itself for nothing, so that ten thousand brackets are neither slow nor too deep.
Light: imports no torch.
"""
