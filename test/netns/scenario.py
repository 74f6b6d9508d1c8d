"""The list of scenarios: each is a function that gets the laboratory, with the mark @scenario."""
ALL = {}


def scenario(name, *needs):
    """`needs`: programs without which it is skipped."""
    def add(function):
        ALL[name] = (function, needs)
        return function
    return add
