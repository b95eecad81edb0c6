for(const form of document.forms)form.addEventListener('submit',async event=>{event.preventDefault();
const out=form.querySelector('pre');out.textContent='…';const body=form.elements.body;
try{const answer=await fetch(form.dataset.path,{method:form.dataset.method,
headers:body?{'content-type':'application/json'}:{},body:body?body.value:undefined});
const text=await answer.text();out.textContent=answer.status+' '+answer.statusText+'\n'+
(text.length>20000?text.slice(0,20000)+'…':text)}catch(error){out.textContent=String(error)}})
