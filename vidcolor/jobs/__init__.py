"""One film as a job: planned into segments, kept in a folder, resumed, run on this machine.

    from vidcolor.jobs.local import Order, run_film

    outcome = run_film(Order(source=film, output=film_in_colour, settings=Settings()))

`plan` cuts the film into segments, `identity` says what a job is bound to, `folder` keeps what
is finished, `making` and `encoding` make segments, and `local` runs it all here. `devices` reads
which devices are meant; over several of them `spread` deals the segments out to processes, whose
side of it is `worker`.
"""
