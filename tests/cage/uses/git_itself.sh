# Real git in its private folder: init, add, commit, clone, log.
echo BEGUN
command -v git >/dev/null || { echo WORKS without git; exit 0; }
set -e
cd "$(mktemp -d)"
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a.test GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a.test
git -c init.defaultBranch=main init -q one
cd one
echo text > file
git add file
git commit -q -m first
cd ..
git clone -q one two
git -C two log --format=%s | grep -qx first && echo WORKS || echo BROKEN git log
