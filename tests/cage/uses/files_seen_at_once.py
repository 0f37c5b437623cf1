# What it writes is seen by the host at once, and what the host writes is seen by it (an editor is open beside it).
import os
import time

from common import PROJECT, done, works

with open(PROJECT + "/question.txt", "w") as file:
    file.write("are you there?")
print("READY", flush=True)
end = time.time() + 8
while not os.path.exists(PROJECT + "/answer.txt") and time.time() < end:
    time.sleep(0.02)
works(os.path.exists(PROJECT + "/answer.txt"), "the host's answer is seen, and the host saw the question")
works(open(PROJECT + "/answer.txt").read() == "I am", "what the answer says")
done()
